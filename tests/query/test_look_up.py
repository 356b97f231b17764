"""One record by its id, over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from app.ingest.appender import Stored
from app.query import endpoints
from app.query.instants import SECOND_US
from app.record import Record
from app.schema.table import records_table
from tests.query.service import Client, Nameless, Numbered, Service, Universal, problem_of
from tests.query.shelf import RECORDS, T0_US, envelope


def test_a_record_is_served_by_its_id(service: Service, client: Client) -> None:
    """The latest version alone, or all of them, newest first; freshly, whatever is settled."""
    service.put_record(T0_US + 200, "k1-again", "id1")
    service.put_record(T0_US + 210, "k1", "id1")  # a late copy of the first version
    latest = client.get("/v1/records/id1")
    assert latest.json()["delivery_key"] == "k1-again"
    assert latest.headers["cache-control"] == "private, no-store"
    versions = client.get("/v1/records/id1", params={"versions": "all"}).json()
    assert [record["delivery_key"] for record in versions["records"]] == ["k1-again", "k1"]
    assert versions["complete"] is True
    assert latest.json() == versions["records"][0]


def test_more_versions_than_an_answer_holds_are_cut_and_said_to_be(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are there, and `complete` is false."""
    monkeypatch.setattr(endpoints, "MAX_LIMIT", 2)
    for number in range(3):
        service.put_record(T0_US + 200 + number, f"v{number}", "many")
    versions = client.get("/v1/records/many?versions=all").json()
    assert [record["delivery_key"] for record in versions["records"]] == ["v2", "v1"]
    assert versions["complete"] is False


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
        ("\x00'\"\\", "%00'%22%5C"),
        ("v1/records/x", "v1/records/x"),
    ],
)
def test_any_id_can_be_asked_for(service: Service, client: Client, record_id: str, path: str) -> None:
    """The id is what stands after the last fixed segment, percent-decoded, slashes and all."""
    service.put_record(T0_US + 200, "odd", record_id)
    answer = client.get(f"/v1/records/{path}")
    assert answer.status_code == 200
    assert answer.json()["id"] == record_id


def test_an_unknown_id_is_not_found(client: Client) -> None:
    """The problem says which id it was."""
    problem = problem_of(client.get("/v1/records/nobody"))
    assert (problem["code"], problem["detail"]) == ("not_found", "there is no record with the id 'nobody'")


def test_a_look_up_takes_no_other_parameters(client: Client) -> None:
    """Those of the feed mean nothing here."""
    assert problem_of(client.get("/v1/records/id1?limit=5"))["code"] == "invalid_parameter"


def test_the_reading_and_the_writing_route_share_the_path(client: Client) -> None:
    """PUT keeps its own handler and its own id."""
    assert client.put("/v1/records/id1").text == "id1"


def test_a_version_stamped_by_a_clock_ahead_is_found(service: Service, client: Client) -> None:
    """A look-up by id reaches over the clock skew."""
    row_us = T0_US + 101 + 2 * SECOND_US
    appender = service.store.appender(RECORDS)
    record = Record(id="ahead", timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    assert service.store._insert(appender._insert_sql, row_us, [appender.encode(record, envelope("k"))]) == Stored()
    assert client.get("/v1/records/ahead").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("7", 200),
        ("-7", 200),
        ("9223372036854775807", 200),
        ("-9223372036854775808", 200),
        ("8", 404),
        ("9223372036854775808", 404),
        ("1" * 5000, 404),
        ("07", 404),
        ("-0", 404),
        ("+7", 404),
        ("7.0", 404),
        ("%D9%A7", 404),
        ("seven", 404),
    ],
)
def test_a_numeric_id_is_read_as_a_number(path: str, status: int) -> None:
    """Each number has one text; any other names no record."""
    service = Service(records_table(Numbered))
    for number in (7, -7, 2**63 - 1, -(2**63)):
        service.put(service.records, T0_US, f"k{number}", Numbered(number))
    with TestClient(service.app) as client:
        answer = client.get(f"/v1/records/{path}")
    service.store.close()
    assert answer.status_code == status
    assert answer.json().get("number", int(path) if status == 200 else None) == (int(path) if status == 200 else None)


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
def test_a_uuid_is_found_by_every_text_a_record_may_hold(path: str, status: int) -> None:
    """Capitals and hyphens make no other UUID: it is stored in one spelling, and looked for in that."""
    service = Service(records_table(Universal))
    service.put(service.records, T0_US, "k", Universal(UUID("3f2504e0-4f89-11d3-9a0c-0305e82c3301")))
    with TestClient(service.app) as client:
        answer = client.get(f"/v1/records/{path}")
    service.store.close()
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["%FF", "a%C3", "%ED%A0%80"])
def test_a_path_that_is_no_text_names_no_id(service: Service, client: Client, path: str) -> None:
    """Bytes that are not UTF-8 do not find the record whose id is the replacement character."""
    service.put_record(T0_US + 200, "odd", "\ufffd")
    assert client.get("/v1/records/%EF%BF%BD").status_code == 200
    assert problem_of(client.get(f"/v1/records/{path}"))["code"] == "invalid_parameter"


def test_without_an_id_there_are_no_routes_by_id() -> None:
    """The record type decides."""
    service = Service(records_table(Nameless))
    service.put(service.records, T0_US, "k", Nameless("hello"))
    with TestClient(service.app) as client:
        assert problem_of(client.get("/v1/records/hello"))["code"] == "method_not_allowed"  # PUT alone is there
        assert [row["note"] for row in client.get("/v1/records").json()["records"]] == ["hello"]
    service.store.close()


def test_an_answer_without_raw_path_is_found_too(service: Service) -> None:
    """Servers may leave `raw_path` out: the decoded path serves."""
    inner: Callable[..., Any] = service.app

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        scope.pop("raw_path", None)
        await inner(scope, receive, send)

    with TestClient(bare) as client:
        assert client.get("/v1/records/id1").json()["id"] == "id1"
