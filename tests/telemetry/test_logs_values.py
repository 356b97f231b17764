"""The service's own lines name what is declared, and nothing that a record or a request brought along."""

import io
from datetime import UTC, datetime
from typing import Annotated

import httpx
import msgspec
from litestar import Litestar, get
from litestar.params import FromPath
from msgspec import Meta

from app.http.problems import EXCEPTION_HANDLERS
from app.ingest.write.health import SinkHealth
from app.stores.sink import SinkState
from sluice.testing.clock import FakeClock
from sluice.testing.service import SETTINGS, running
from tests.telemetry.logged import read

NAME = "patient-4711"


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A record type that refuses what it does not know."""

    id: Annotated[str, Meta(description="Which one.", extra={"sluice": ["id"]})]
    at: Annotated[datetime, Meta(description="When.")] = datetime(2026, 1, 31, tzinfo=UTC)


async def test_a_field_that_is_not_declared_is_not_named(log: io.StringIO) -> None:
    """Its name is a part of the record; that of a declared field is the service's."""
    settings = SETTINGS.replace(record=f"{__name__}:Strict")
    async with running(settings) as service:
        assert (await service.push({"id": "a", NAME: 1}, message_id="1")).status_code == 204
        assert (await service.push({"id": NAME, "at": NAME}, message_id="2")).status_code == 204
    told = [line["message"] for line in read(log) if line["logger"] == "sluice.ingest"]
    assert [message.rpartition("; first reason: ")[2] for message in told] == [
        "invalid (an unknown field)",
        "invalid (at)",
    ]
    assert NAME not in log.getvalue()


async def test_an_unexpected_failure_names_the_route_and_not_the_path(log: io.StringIO) -> None:
    """A path may hold the id of a record, and a query its values."""

    @get("/records/{record_id:str}", sync_to_thread=False)
    def fail(record_id: FromPath[str]) -> None:
        raise ValueError(f"no such record: {record_id!r}")

    app = Litestar([fail], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get(f"/records/{NAME}?x={NAME}")).status_code == 500
    (line,) = read(log)
    assert line["message"] == "unexpected failure at /records/{record_id}"
    assert line["stack_trace"].endswith("ValueError: no such record: '…'")
    assert NAME not in log.getvalue()


def test_trouble_with_the_set_up_is_told_by_its_names_and_other_trouble_without_values(log: io.StringIO) -> None:
    """What is said of tables and permissions quotes their names; what is said of appends may quote a row."""
    health = SinkHealth("records", FakeClock())
    health.trouble(SinkState.PERMISSION_DENIED, "Permission 'TABLES_UPDATE_DATA' denied on 'projects/p'")
    health.trouble(SinkState.UNREACHABLE, f"INTERNAL: cannot convert '{NAME}'")
    assert [line["message"] for line in read(log)] == [
        "table records: PERMISSION_DENIED: Permission 'TABLES_UPDATE_DATA' denied on 'projects/p'",
        "table records: UNREACHABLE: INTERNAL: cannot convert '…'",
    ]
