"""Members that a record type does not declare, through the whole service: rejected with their path, or counted."""

import logging
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from sluice.testing.service import SETTINGS, Service, running

_ID = msgspec.Meta(extra={"sluice": ["id"]})


class Line(msgspec.Struct):
    """A nested Struct that drops."""

    undeclared: ClassVar = "drop"
    sku: str


class Order(msgspec.Struct, rename="camel"):
    """A type that drops."""

    undeclared: ClassVar = "drop"
    id: Annotated[str, _ID]
    unit_price: int | None = None
    lines: list[Line] = []


class Trip(msgspec.Struct):
    """A type that keeps."""

    id: Annotated[str, _ID]
    via: Line | None = None
    rest: Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest", "filter"]})] = {}


def of(record_type: type[msgspec.Struct]) -> Any:
    """Return settings with a record type of this module."""
    return SETTINGS.replace(record=f"{__name__}:{record_type.__name__}")


def dropped(service: Service) -> int:
    """Return the count as a collector sees it."""
    return service.app.instance.metrics.undeclared_members["dropped", "records"]


async def test_a_dropping_type_stores_the_record_and_counts_what_it_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Pushed and posted, one and many, at the top and in lists; a copy and a rejected record count nothing."""
    caplog.set_level(logging.INFO)
    async with running(of(Order)) as service:
        line = {"sku": "a", "secret-name": 1}
        assert (await service.push({"id": "a", "unitPrice": 1, "lines": [{"sku": "x"}]})).status_code == 204
        assert dropped(service) == 0
        for _ in range(2):  # the second is a copy
            assert (await service.push({"id": "b", "unit_price": 1, "lines": [line, line]}, message_id="2")).is_success
            assert dropped(service) == 3
        records: list[Any] = [{"id": f"{number}", "x": {"y": 1}} for number in range(3)]
        answer = await service.client.post("/v1/records", json=[*records, {"id": 7, "x": 1}])
        assert answer.status_code == 207
        assert dropped(service) == 6
        stored = (await service.client.get("/v1/records/b")).json()
        assert (stored["unitPrice"], stored["lines"]) == (None, [{"sku": "a"}, {"sku": "a"}])
    assert "secret-name" not in caplog.text


async def test_a_keeping_type_serves_what_it_does_not_declare(caplog: pytest.LogCaptureFixture) -> None:
    """Pushed and posted, one and many: by id, in pages, in filters and in exports; a copy counts nothing."""
    caplog.set_level(logging.INFO)
    async with running(of(Trip)) as service:
        trip = {"id": "a", "stops": [{}, {"gate": {"no": 5}}], "colour": "red"}
        for _ in range(2):  # the second is a copy
            assert (await service.push(trip, message_id="1")).status_code == 204
        more = [{"id": "b"}, {"id": "c", "via": {"sku": "x", "secret-name": 1}, "colour": 1.5}]
        assert (await service.client.post("/v1/records", json=more)).status_code == 201
        refused = await service.client.post("/v1/records", json={"id": "d", "rest": {"colour": "red"}})
        assert (refused.status_code, "rest is filled by the service" in refused.text) == (422, True)
        rests = {"a": {"stops": [{}, {"gate": {"no": 5}}], "colour": "red"}, "b": {}, "c": {"colour": 1.5}}
        assert (await service.client.get("/v1/records/a")).json()["rest"] == rests["a"]
        page = await service.client.get("/v1/records", params={"freshness": "latest", "fields": "id,rest"})
        assert {each["id"]: each["rest"] for each in page.json()["records"]} == rests
        for name, value in (("rest.colour", "red"), ("rest.stops.1.gate.no.gte", "5")):
            params = {"freshness": "latest", "fields": "id", name: value}
            found = (await service.client.get("/v1/records", params=params)).json()["records"]
            assert [each["id"] for each in found] == ["a"], name
        assert dropped(service) == 1
        assert service.app.instance.metrics.undeclared_members == {("kept", "records"): 3, ("dropped", "records"): 1}
    told = [record.getMessage() for record in caplog.records if record.name.startswith("sluice")]
    assert not any(name in line for name in ("secret-name", "colour", "gate") for line in told)
