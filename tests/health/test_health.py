"""The routes of operations, alone: what liveness and readiness depend on, who is told what, and HEAD."""

from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.connection import ASGIConnection

from app.auth.grants import LOCAL_PRINCIPAL, Principal
from app.auth.key_set import FetchedKeys, KeySet, KeySetError
from app.health.probes import Health, health_routes
from app.http.problems import ProblemError
from app.ingest.write.table_writer import TableWriter
from app.openapi.document import document_route
from app.query.read.instrumented_source import SourceHealth
from app.runtime.ledger import Ledger
from app.settings.load import Settings
from app.stores.sink import SetupError, SinkState
from app.stores.source import QueryTimeoutError, StoreBusyError, StoreUnavailableError
from sluice.testing.clock import FakeClock
from tests.ingest.bench import Bench
from tests.support.unwatched import environment_of

SECRET = "my-project.events.records"


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Know who sends a token, whichever."""
    if "authorization" not in connection.headers:
        raise ProblemError("missing_token", "no token")
    return LOCAL_PRINCIPAL


def client_of(
    keys: KeySet | None,
    sinks: dict[str, TableWriter] | None = None,
    reads: SourceHealth | None = None,
    clock: FakeClock | None = None,
    obstacle: SetupError | None = None,
    **headers: str,
) -> httpx.AsyncClient:
    """Return a client of an application of the health routes, without sinks and reads by default."""
    health = Health(
        environment=environment_of(clock or FakeClock(), Settings().replace(system="orders")),
        instance="3f9a1c07",
        keys_are_ready=lambda: keys is None or keys.is_ready,
        in_flight=Ledger(max_bytes=1),
        sinks=sinks or {},
        reads=reads,
        connections=lambda: dict.fromkeys(sinks or {}, 2),
        obstacle=lambda: obstacle,
    )
    app = Litestar(
        [*health_routes(health, identify), document_route()],
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


async def test_a_clock_that_cannot_be_trusted_shows_without_any_message() -> None:
    """And with `strict=1` it is a fault."""
    bench = Bench()
    bench.clock.doubt = "it jumped by +3600.0 s"
    async with client_of(None, {"records": bench.writer}, authorization="Bearer x") as client:
        sink = (await client.get("/health/ready")).json()["sinks"]["records"]
        assert (sink["state"], sink["detail"]) == ("CLOCK_WRONG", "it jumped by +3600.0 s")
        assert (await client.get("/health/ready?strict=1")).status_code == 503


@pytest.mark.parametrize("found", [None, SetupError(SinkState.UNREACHABLE, "no answer")])
async def test_an_instance_is_ready_once_it_has_checked_its_tables(found: SetupError | None) -> None:
    """Whatever the check finds; one that does not end is waited for ten seconds."""
    clock, bench, other = FakeClock(), Bench(), Bench()
    async with client_of(None, {"records": bench.writer, "rejects": other.writer}, clock=clock) as client:

        async def status() -> tuple[int, str]:
            answer = await client.get("/health/ready")
            return answer.status_code, answer.json()["status"]

        bench.writer.record_check(found)
        await clock.advance(9.9)
        assert await status() == (503, "starting")
        await clock.advance(0.1)
        assert await status() == (200, "ready")
    async with client_of(None, {"records": bench.writer}) as client:
        assert await status() == (200, "ready")


async def test_strict_readiness_answers_503_where_a_table_does_not_take_rows() -> None:
    """The platform is told of the instance alone; people and smoke tests may ask for everything."""
    bench, well = Bench(), Bench()
    bench.writer.record_check(SetupError(SinkState.NOT_FOUND, "no table"))
    well.writer.record_check(None)
    for writer, expected in ((bench.writer, 503), (well.writer, 200)):
        async with client_of(None, {"records": writer}) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/health/ready?strict=0")).status_code == 200
            strict = await client.get("/health/ready?strict=1")
            assert strict.status_code == expected
            assert strict.json()["sinks"]["records"]["state"] == writer.health.state.value
            assert (await client.get("/health/ready?strict=maybe")).status_code == 400


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (StoreUnavailableError(SECRET), "UNREACHABLE"),
        (StoreBusyError(SECRET), "BUSY"),
        (QueryTimeoutError(30.0), "SLOW"),
    ],
)
async def test_reads_that_get_no_answer_show_and_leave_the_instance_ready(error: Exception, state: str) -> None:
    """With where to read on; strictly it is a fault."""
    clock = FakeClock()
    reads = SourceHealth(clock.now_us)
    async with client_of(None, reads=reads, authorization="Bearer x") as client:
        well = (await client.get("/health/ready?strict=1")).json()["store"]
        assert well["kind"] == "embedded"
        assert (well["reads"]["state"], well["reads"]["detail"], well["reads"]["help"]) == ("ACTIVE", "", None)
        await clock.advance(60)
        for _ in range(3):
            reads.note(error)
        ready, strict = await client.get("/health/ready"), await client.get("/health/ready?strict=1")
        assert (ready.status_code, strict.status_code) == (200, 503)
        found = strict.json()["store"]["reads"]
        assert found == ready.json()["store"]["reads"]
        assert (found["state"], found["detail"]) == (state, str(error))
        assert found["help"] == f"docs/runbook.md#read-state-{state.lower()}"
        assert found["since"] == "2023-11-14T22:14:20.000Z"


async def test_a_stranger_is_told_the_states_and_not_what_the_store_said() -> None:
    """Its words may name projects and tables; who would be let in to /v1 gets them."""
    bench = Bench()
    bench.writer.record_check(SetupError(SinkState.NOT_FOUND, f"there is no table {SECRET}"))
    reads = SourceHealth(bench.clock.now_us)
    reads.note(StoreUnavailableError(f"cannot read {SECRET}"))
    async with client_of(None, {"records": bench.writer}, reads) as client:
        told = await client.get("/health/ready")
        assert SECRET not in told.text
        sink = told.json()["sinks"]["records"]
        assert (sink["state"], sink["detail"], sink["connections"]) == ("NOT_FOUND", None, 2)
        assert sink["help"] == "docs/runbook.md#sink-state-not_found"
        assert told.json()["store"]["reads"]["detail"] is None
        known = (await client.get("/health/ready", headers={"Authorization": "Bearer x"})).json()
        assert known["sinks"]["records"]["detail"] == f"there is no table {SECRET}"
        assert known["store"]["reads"]["detail"] == f"cannot read {SECRET}"
        assert msgspec.json.encode(known).count(SECRET.encode()) == 2


async def no_keys() -> FetchedKeys:
    """Fail as an issuer that is away."""
    raise KeySetError("the issuer is away")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi/openapi.json"])
@pytest.mark.parametrize("keys", [None, KeySet(no_keys, FakeClock())], ids=["ready", "starting"])
async def test_head_answers_as_get_does_without_the_body(path: str, keys: KeySet | None) -> None:
    """The status and every header are the same, the length included."""
    async with client_of(keys) as client:
        client.headers["Accept-Encoding"] = "identity"  # or the length is that of the compressed document
        got, head = await client.get(path), await client.head(path)
        assert head.status_code == got.status_code == (503 if keys and path == "/health/ready" else 200)
        assert head.content == b""
        assert dict(head.headers) == dict(got.headers)
        assert int(head.headers["content-length"]) == len(got.content)
