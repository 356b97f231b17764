"""One record by its id, over HTTP."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest

from app.schema.table import records_table
from tests.contract.gaps import NUL_IN_A_PARAMETER, allow
from tests.contract.service import Client, Nameless, Service, Universal, problem_of
from tests.contract.stores import REJECTS, T0_US, Engine


def test_a_record_is_served_by_its_id(service: Service, client: Client) -> None:
    """The latest version alone, or all of them, newest first; freshly, whatever is settled."""
    late_copy = (T0_US + 210, "k1", "id1")
    service.put_records([(T0_US + 200, "k1-again", "id1"), late_copy])
    latest = client.get("/v1/records/id1")
    assert latest.json()["delivery_key"] == "k1-again"
    assert latest.headers["cache-control"] == "private, no-store"
    versions = client.get("/v1/records/id1", params={"versions": "all"}).json()
    assert [record["delivery_key"] for record in versions["records"]] == ["k1-again", "k1"]
    assert versions["complete"] is True
    assert latest.json() == versions["records"][0]


@pytest.mark.parametrize(
    ("record_id", "path"),
    [
        ("a/b", "a%2Fb"),
        ("a/b", "a/b"),
        ("a//b/", "a%2F%2Fb%2F"),
        ("/a", "%2Fa"),
        ("a/", "a/"),
        ("100%", "100%25"),
        ("ü ?#", "%C3%BC%20%3F%23"),
        ("'\"\\\n", "'%22%5C%0A"),
        ("a\x00b", "a%00b"),
        ("v1/records/x", "v1/records/x"),
    ],
)
def test_any_id_can_be_asked_for(
    request: pytest.FixtureRequest, service: Service, client: Client, record_id: str, path: str
) -> None:
    """The id is what stands after the last fixed segment, percent-decoded, slashes and all."""
    if "\0" in record_id:
        allow(service.engine, request, NUL_IN_A_PARAMETER)
    service.put_record(T0_US + 200, "odd", record_id)
    answer = client.get(f"/v1/records/{path}")
    assert answer.status_code == 200
    assert answer.json()["id"] == record_id


def _service_of(engine: Engine, *records: msgspec.Struct) -> Iterator[Service]:
    table = records_table(type(records[0]))
    store = engine.loop.run(engine.open([table, REJECTS]))
    service = Service(engine, store, table)
    service.put(table, [(T0_US + number, f"k{number}", record) for number, record in enumerate(records)])
    yield service
    engine.loop.run(store.close())


@pytest.fixture(scope="module")
def universal(engine: Engine) -> Iterator[Service]:
    """Give a record whose id is a UUID."""
    yield from _service_of(engine, Universal(UUID("3f2504e0-4f89-11d3-9a0c-0305e82c3301")))


@pytest.fixture(scope="module")
def nameless(engine: Engine) -> Iterator[Service]:
    """Give a record without an id."""
    yield from _service_of(engine, Nameless("hello"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", 200),
        ("3F2504E0-4F89-11D3-9A0C-0305E82C3301", 200),
        ("3f2504e04f8911d39a0c0305e82c3301", 200),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3302", 404),
        ("3f2504e0", 404),
        ("%7B3f2504e0-4f89-11d3-9a0c-0305e82c3301%7D", 404),
    ],
)
def test_a_uuid_is_found_by_every_text_a_record_may_hold(universal: Service, path: str, status: int) -> None:
    """Capitals and hyphens make no other UUID: it is stored in one spelling, and looked for in that."""
    assert universal.client().get(f"/v1/records/{path}").status_code == status


@pytest.mark.above_the_stores
def test_without_an_id_there_are_no_routes_by_id(nameless: Service) -> None:
    """The record type decides."""
    client = nameless.client()
    assert problem_of(client.get("/v1/records/hello"))["code"] == "method_not_allowed"  # DELETE alone is there
    assert [row["note"] for row in client.get("/v1/records").json()["records"]] == ["hello"]
