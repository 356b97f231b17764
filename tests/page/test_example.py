"""The example that a newcomer is shown is a record of the declared type, whatever is declared."""

from collections.abc import Iterator

import pytest

from app.settings.load import Settings
from sluice.testing.service import SETTINGS, running
from tests.documents import readme_module
from tests.page import declared

TYPES = [
    "app.record:Record",
    "sluice.local.flights.record:Flight",
    "orders:Order",
    *(f"tests.page.declared:{name}" for name in ("Sale", "Quoted", "Nameless")),
]


@pytest.fixture(autouse=True)
def orders() -> Iterator[None]:
    """Make the README's record type importable."""
    with readme_module():
        yield


def settings_for(record: str) -> Settings:
    """Return the settings of a service that stores records of a type."""
    return SETTINGS.replace(record=record)


@pytest.mark.parametrize("record", TYPES)
async def test_what_the_page_shows_is_stored(record: str) -> None:
    """Posted as it stands it is answered 201; the OpenAPI document shows the same one."""
    async with running(settings_for(record)) as service:
        welcome = (await service.client.get("/")).json()
        assert welcome["template"] is None
        answer = await service.client.post("/v1/records", json=welcome["example"])
        assert answer.status_code == 201, answer.text
        assert (await service.client.get("/v1/rejects")).json()["records"] == []
        document = (await service.client.get("/openapi/openapi.json")).json()
        body = document["paths"]["/v1/records"]["post"]["requestBody"]["content"]["application/json"]
        assert body["examples"]["one"]["value"] == welcome["example"]


async def test_where_none_can_be_derived_there_is_a_template() -> None:
    """It says what is to be filled in, and does not pretend to be a record."""
    async with running(settings_for(f"{declared.__name__}:Underivable")) as service:
        welcome = (await service.client.get("/")).json()
    assert welcome["example"] is None
    assert welcome["template"] == {"id": "<a text that matches ^(?=b)[A-Z]{3}$>", "total": 1}
