"""Tables of a state: which version each database keeps, and what ends or limits such a follower."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice_client import Feed, TargetError
from sluice_client.loading import Loading
from sluice_client.protocol.pages import Window
from sluice_client.protocol.requests import Range
from sluice_client.protocol.retry import FOREVER
from sluice_client.protocol.schema import Column
from sluice_client.protocol.states import StatePage, follow
from sluice_client.sinks.latest import digest_of
from tests.client.scripted import page as answered
from tests.client.scripted import problem, scripted, too_long
from tests.client.targets import Target

ROLES = {"id": "id", "deleted": "is_gone", "sequence": "number"}


def columns(number: str, record_id: str) -> tuple[Column, ...]:
    """Return columns with a sequence and an id of these types."""
    own = Column("id", record_id), Column("number", number), Column("is_gone", "BOOL")
    return (*own, Column("ingest_time", "TIMESTAMP"), Column("delivery_key", "STRING"))


def version(second: int, number: Any, record_id: str | int = "é", *, is_gone: bool | None = None) -> dict[str, Any]:
    """Return a version that was stored at a second."""
    time, key = f"2026-01-31T12:00:{second:02}Z", f"{record_id}{second:02}"
    return {"id": record_id, "number": number, "is_gone": is_gone, "ingest_time": time, "delivery_key": key}


def begin(
    target: Target, number: str = "INT64", record_id: str = "STRING", *, rewind: bool = False, cursor: str = ""
) -> Loading:
    """Begin to follow a state into the target, from this cursor."""
    run, key = Loading(Feed(), target.name, target.table, (), state=True), "http://service/v1/state"
    assert run.begin(key, columns(number, record_id), moved=False, rewind=rewind, roles=ROLES) == cursor
    return run


def store(run: Loading, cursor: str, *versions: dict[str, Any], erased: dict[str, str] | None = None) -> None:
    """Store versions as one page."""
    records, window = msgspec.Raw(json.dumps(versions).encode()), Window("", "2026-01-31T12:00:00Z")
    assert run.store(StatePage(records, None, cursor, window, 0, erased or {}))


def stored(target: Target) -> list[str]:
    """Return the keys in the table, each the id and the second of a version."""
    return [key for (key,) in target.read("delivery_key")]


DATABASES = pytest.mark.parametrize("target", ["sqlite", "duckdb", "postgres"], indirect=True)


@DATABASES
@pytest.mark.parametrize("kind", ["INT64", "TIMESTAMP"])
@pytest.mark.parametrize("is_one_page", [True, False])
def test_a_version_replaces_earlier_ones_only(target: Target, kind: str, *, is_one_page: bool) -> None:
    """By the sequence, null being the least, then by arrival; a tombstone stays, as late versions come after it."""
    low, high = (-1, 2) if kind == "INT64" else ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000001Z")
    numbers: dict[str, list[Any]] = {
        "a": [None, None],
        "b": [None, low, None],
        "c": [high, low, high, low],
        "d": [low, low, None],
    }
    versions = [
        version(second, number, name) for name, each in numbers.items() for second, number in enumerate(each, start=1)
    ]
    versions += [version(1, low, "e"), version(2, high, "e", is_gone=True), version(3, low, "e")]
    run = begin(target, kind)
    pages = [versions] if is_one_page else [[each] for each in versions]
    for number, page in enumerate(pages):
        store(run, f"{number}", *page)
    run.sink.close()
    assert stored(target) == ["a02", "b02", "c03", "d02", "e02"]
    assert [bool(is_gone) for (is_gone,) in target.read("is_gone")] == [False] * 4 + [True]


@DATABASES
@pytest.mark.parametrize(("kind", "record_id"), [("STRING", "é"), ("INT64", 7)])
def test_what_is_erased_goes_and_comes_back_only_as_a_new_version(
    target: Target, kind: str, record_id: str | int
) -> None:
    """Whatever its sequence was, which counts no longer; later versions and other records stay."""
    run = begin(target, record_id=kind)
    others = [version(1, 1, f"x{number}" if kind == "STRING" else 100 + number) for number in range(3)]
    store(run, "1", version(1, 9, record_id), version(2, None, record_id, is_gone=True), *others)
    erased = {digest_of(record_id): "2026-01-31T12:00:02Z"} | dict.fromkeys(
        map(str, range(700)), "2026-01-31T12:00:09Z"
    )
    stale = version(2, 8, record_id)
    store(run, "2", stale, version(3, 1, record_id), erased=erased)
    store(run, "3", stale, erased=erased)
    run.sink.close()
    assert stored(target) == sorted(f"{each['delivery_key']}" for each in [version(3, 1, record_id), *others])


@DATABASES
def test_rewinding_reads_the_state_again(target: Target) -> None:
    """Into an empty table, in one transaction: what has left the state would stay otherwise."""
    run = begin(target)
    store(run, "1", version(1, 9), version(1, 9, "gone"))
    run.sink.close()
    run = begin(target, rewind=True)
    run.sink.close()
    assert stored(target) == []
    run = Loading(Feed(), target.name, target.table, (), state=True)
    assert (
        run.begin("http://service/v1/state", columns("INT64", "STRING"), moved=False, rewind=False, roles=ROLES) == ""
    )
    store(run, "2", version(1, 1))
    run.sink.close()
    assert stored(target) == ["é01"]
    begin(target, cursor="2").sink.close()


def test_a_state_needs_a_database_an_id_and_all_records(tmp_path: Path) -> None:
    """Anything else is refused before a record is read."""
    schema: dict[str, Any] = {"tables": [{"path": "/v1/records", "columns": [], "id": None}]}
    client, _ = scripted(*[httpx.Response(200, json=schema)] * 2)
    with pytest.raises(TargetError, match="a state needs records with an id"):
        client.follow_into(str(tmp_path / "a.sqlite"), state=True)
    described = [{"path": path, "type": "STRING"} for path in ("id", "ingest_time", "delivery_key")]
    schema = {"tables": [{"path": "/v1/records", "columns": described, "id": "id"}]}
    client, _ = scripted(*[httpx.Response(200, json=schema)] * 4)
    with pytest.raises(TargetError, match="a state needs a database"):
        client.follow_into(f"{tmp_path}/", state=True)
    with pytest.raises(ValueError, match="omit the time to begin at"):
        client.follow_into(str(tmp_path / "b.sqlite"), since="-P1D", state=True)
    for feed in (Feed(filters={"source": "a"}), Feed(rejects=True)):
        with pytest.raises(ValueError, match="omit the filters"):
            client.follow_into(str(tmp_path / "c.sqlite"), feed=feed, state=True)


def test_a_caller_who_may_not_know_of_erasures_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The table then keeps what is erased; any other refusal ends the follower."""
    described = [{"path": path, "type": "STRING"} for path in ("id", "ingest_time", "delivery_key")]
    schema = httpx.Response(200, json={"tables": [{"path": "/v1/records", "columns": described, "id": "id"}]})
    pages = [answered(next_cursor="s2"), problem(403, "forbidden"), answered(resume="f1"), answered(poll_after=1)]
    client, script = scripted(schema, schema, *pages)
    with caplog.at_level(logging.WARNING, logger="sluice_client"):
        client.follow_into(str(tmp_path / "a.sqlite"), state=True, fields=["id"], until_caught_up=True)
    (said,) = caplog.messages
    assert said == "what is erased at the service will stay in the table: 403 forbidden: forbidden: about forbidden"
    asked = [(request.url.path, dict(request.url.params)) for request in script.requests[2:]]
    chosen = {"fields": "id,ingest_time,delivery_key", "limit": "1000"}
    assert asked[0] == ("/v1/state", {"tombstones": "include", **chosen})
    assert asked[1][0] == "/v1/erasures"
    assert asked[2:] == [
        ("/v1/state", {"tombstones": "include", "cursor": "s2", **chosen}),
        ("/v1/records", {"cursor": "f1", **chosen}),
    ]
    client, _ = scripted(schema, schema, answered(), problem(400, "invalid_parameter"))
    with pytest.raises(Exception, match="400 invalid_parameter"):
        client.follow_into(str(tmp_path / "b.sqlite"), state=True)


def test_an_erasure_may_be_longer_ago_than_the_longest_window() -> None:
    """The feed is read again from there in windows that the service accepts; of several the last version counts."""
    days = ("2026-01-30", "2026-01-29")
    erased = [{"digest": "d", "until": f"{day}T00:00:00Z", "ingest_time": "2026-01-30T01:00:00Z"} for day in days]
    client, script = scripted(too_long("T1"), answered(), answered(*erased))
    cursor = '{"is_in_feed": true, "again": "T0", "known_to": "2026-01-31T12:00:00Z"}'
    steps = follow(Feed(), Range(cursor=cursor), FOREVER)
    assert next(client._connection.run(steps)).erased == {"d": "2026-01-30T00:00:00Z"}
    assert script.params("until")[:2] == [None, "T1"]
