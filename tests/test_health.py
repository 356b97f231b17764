"""The routes of operations, alone: what readiness depends on, and HEAD."""

import httpx
import pytest
from litestar import Litestar

from app.clock import FakeClock
from app.health import Health, health_routes
from app.ingest.admission import Admission
from app.ingest.appender import SetupError, SinkState
from app.ingest.writer import Writer
from app.keys import FetchedKeys, KeySet, KeySetError
from app.record import Record
from app.reference.document import document_route, openapi_config
from app.schema.table import records_table
from app.telemetry.metrics import Metrics
from tests.ingest.bench import Bench


def client_of(keys: KeySet | None, sinks: dict[str, Writer] | None = None) -> httpx.AsyncClient:
    """Return a client of an application of the health routes, without sinks by default."""
    admission = Admission(max_messages=1, max_bytes=1)
    health = Health(admission=admission, keys=keys, sinks=sinks or {}, metrics=Metrics())
    app = Litestar(
        [*health_routes(health), document_route(records_table(Record))],
        openapi_config=openapi_config(),
        logging_config=None,
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_where_no_token_is_verified_no_keys_are_needed() -> None:
    """A reader on a laptop is ready without an issuer, and has no sinks to tell of."""
    async with client_of(None) as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()["status"], answer.json()["sinks"]) == (200, "ready", {})


async def test_strict_readiness_answers_503_where_a_table_does_not_take_rows() -> None:
    """The platform is told of the instance alone; people and smoke tests may ask for everything."""
    bench = Bench()
    bench.writer.found(SetupError(SinkState.NOT_FOUND, "no table"))
    for writer, expected in ((bench.writer, 503), (Bench().writer, 200)):
        async with client_of(None, {"records": writer}) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/health/ready?strict=0")).status_code == 200
            strict = await client.get("/health/ready?strict=1")
            assert strict.status_code == expected
            assert strict.json()["sinks"]["records"]["state"] == writer.standing.state.value
            assert (await client.get("/health/ready?strict=maybe")).status_code == 400


async def no_keys() -> FetchedKeys:
    """Fail as an issuer that is away."""
    raise KeySetError("the issuer is away")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi/openapi.json"])
@pytest.mark.parametrize("keys", [None, KeySet(no_keys, FakeClock())], ids=["ready", "starting"])
async def test_head_answers_as_get_does_without_the_body(path: str, keys: KeySet | None) -> None:
    """The status and every header are the same, the length included."""
    async with client_of(keys) as client:
        got, head = await client.get(path), await client.head(path)
        assert head.status_code == got.status_code == (503 if keys and path == "/health/ready" else 200)
        assert head.content == b""
        assert dict(head.headers) == dict(got.headers)
        assert int(head.headers["content-length"]) == len(got.content)
