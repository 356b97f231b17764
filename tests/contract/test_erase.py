"""Erasure over both stores: every version and copy of a record, its rejects, and nothing of anybody else's."""

import gzip
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import pytest

from app.auth.grants import Principal
from app.query.erase import Counts, Erasure
from app.record import RejectedRecord
from app.runtime.instants import DAY_US, HOUR_US, SECOND_US
from app.stores.query import Deletion
from tests.contract.application import principal
from tests.contract.service import WINDOW, Client, Service, default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, REJECTS, T0_US, Engine, Store
from tests.encoding import encoded

GONE, THERE = "order-1042", "order-1043"


def put_rejects(service: Service, payloads: Iterable[bytes], parts: int = 1) -> None:
    """Store rejects of these payloads, cut into so many parts."""
    rows = []
    for number, payload in enumerate(payloads):
        size = -(-len(payload) // parts)
        for part in range(parts):
            row = RejectedRecord(
                reason="invalid",
                detail="wrong",
                field=None,
                payload=payload[part * size : (part + 1) * size],
                part=part,
                parts=parts,
            )
            rows.append((T0_US + 50 + number, f"x{number}" + (f"#{part}" if part else ""), row))
    service.put(REJECTS, rows)


def put_parts(
    service: Service, rows: Iterable[tuple[str, bytes]], message_id: str | None = None, *, from_us: int = T0_US
) -> None:
    """Store rows of rejects in two parts, each under its own key, so far apart that none is a copy."""
    appender = service.store.appender(REJECTS)
    stamped = []
    for number, (key, payload) in enumerate(rows):
        row = RejectedRecord(
            reason="invalid", detail="wrong", field=None, payload=payload, part=int("#1" in key), parts=2
        )
        shared = envelope(key) | {"message_id": message_id}
        stamped.append((from_us + number * HOUR_US, encoded(appender, row, shared)))
    service.engine.loop.run(service.store.put(REJECTS, stamped))
    service.settle(from_us + len(stamped) * HOUR_US)


def json_of(**members: Any) -> bytes:
    """Return a JSON object."""
    return msgspec.json.encode(members)


def ids(client: Client, **asked: str) -> list[str]:
    """Return the ids that a page gives."""
    answer = client.get("/v1/records", params={**WINDOW, **asked})
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


def rejects_of(service: Service) -> list[str]:
    """Return the delivery keys of the rejects that are left."""
    answer = service.client().get("/v1/rejects", params={**WINDOW, "until": "2023-11-14T22:13:40Z", "limit": "100"})
    assert answer.status_code == 200, answer.text
    return [reject["delivery_key"] for reject in answer.json()["records"]]


@pytest.fixture
def orders(engine: Engine, store: Store) -> Service:
    """Give two versions and a copy of a record, and another record."""
    service = Service(engine, store, retention_days=400)
    rows = [(0, "k0", GONE), (10, "k1", GONE), (10, "k1", GONE), (20, "k2", THERE), (-200 * DAY_US, "k3", GONE)]
    service.put_records((T0_US + at_us, key, record_id) for at_us, key, record_id in rows)
    service.settle(T0_US + 100)
    return service


def test_every_version_and_copy_is_erased_and_nothing_else(orders: Service) -> None:
    """In a page, by id, in an export, and 200 days ago; a second erasure finds nothing and says so."""
    client = orders.client()
    assert client.get(f"/v1/records/{GONE}").status_code == 200
    answer = client.request("DELETE", f"/v1/records/{GONE}")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["erased"] == {"records": 3 + (not orders.engine.drops_copies), "rejects": 0}
    assert (told["complete"], told["remaining"]) == (True, {"records": 0, "rejects": 0})
    assert ids(client) == [THERE]
    assert client.get(f"/v1/records/{GONE}").status_code == 404
    assert GONE not in client.get("/v1/records", params={**WINDOW, "limit": "all"}).text
    again = client.request("DELETE", f"/v1/records/{GONE}")
    assert (again.status_code, again.json()["erased"]) == (200, {"records": 0, "rejects": 0})


HOLDS = [
    json_of(id=GONE, timestamp="no time"),
    msgspec.json.encode([{"id": THERE}, {"id": GONE}]),
    json_of(id=THERE) + b"\n" + json_of(id=GONE) + b"\n",
    rb'{"id": "order\u002d1042", "timestamp": 1}',
    gzip.compress(json_of(id=GONE), mtime=0),
    gzip.compress(json_of(id=GONE)[:10], mtime=0) + gzip.compress(json_of(id=GONE)[10:], mtime=0),
    gzip.compress(json_of(id=THERE), mtime=0) + gzip.compress(b"\n" + json_of(id=GONE), mtime=0),
    gzip.compress(json_of(id=THERE), mtime=0) + gzip.compress(b"\n" + json_of(id=GONE), mtime=0)[:-6],
    gzip.compress(rb'{"id": "order\u002d1042"}', mtime=0) + b"\x1f\x8b, and no member",
    b'{"id": "' + GONE.encode() + b'", "data": {broken',
    f"{GONE},2026-01-31,broken".encode("utf-16"),
]
DOES_NOT = [
    json_of(id=THERE, data=GONE),  # a record of another id that mentions it
    json_of(data={"id": GONE}),
    GONE.encode() + b"7,not JSON, another id",
    b"\xff\x00\\",
    gzip.compress(json_of(id=THERE), mtime=0),
    gzip.compress(json_of(id=THERE), mtime=0) + gzip.compress(b"\n" + json_of(data=GONE), mtime=0),
    gzip.compress(json_of(id=THERE), mtime=0) + gzip.compress(b"\n" + json_of(id=THERE), mtime=0)[:-6],
    b"",
]


@pytest.mark.parametrize("parts", [1, 3])
def test_the_rejects_that_hold_the_record_are_erased(orders: Service, parts: int) -> None:
    """Whether they can be read or not, alone or in a message of several, whole or in parts; others stay."""
    put_rejects(orders, HOLDS + DOES_NOT, parts)
    client = orders.client()
    answer = client.request("DELETE", f"/v1/records/{GONE}")
    assert answer.json()["erased"] == {"records": 3 + (not orders.engine.drops_copies), "rejects": len(HOLDS) * parts}
    left = client.get("/v1/rejects", params={**WINDOW, "until": "2023-11-14T22:13:21Z", "limit": "100"}).json()
    assert {reject["delivery_key"].partition("#")[0] for reject in left["records"]} == {
        f"x{number}" for number in range(len(HOLDS), len(HOLDS + DOES_NOT))
    }


HEAD, TAIL = b'{"id": "order-10', b'42", "timestamp": "no time"}'
# Keys of the two parts of a reject, in the order of their rows.
ROWS_OF_ONE_REJECT = [
    ["x", "x#1~late1"],
    ["x~late1", "x#1"],
    ["x#1~late2", "x~late1"],
    ["x", "x", "x#1"],
    ["x", "x#1", "x#1~late1", "x#1~late2"],
    ["x", "x#1", "x", "x#1"],
]


@pytest.mark.parametrize("keys", ROWS_OF_ONE_REJECT, ids=" ".join)
def test_every_row_of_a_cut_reject_is_erased(engine: Engine, store: Store, keys: list[str]) -> None:
    """A row that was late and every copy go with the reject, although the id is in none of the rows by itself."""
    service = Service(engine, store)
    put_parts(service, [(key, TAIL if "#1" in key else HEAD) for key in keys])
    erasure = Erasure(store.runner, store.eraser, RECORDS, REJECTS)
    assert engine.loop.run(erasure.count(GONE)) == Counts(rejects=len(keys))
    found = engine.loop.run(erasure.erase(GONE))
    assert (found.erased, found.remaining) == (Counts(rejects=len(keys)), Counts())
    assert rejects_of(service) == []


@pytest.mark.above_the_stores
@pytest.mark.parametrize("keys", ROWS_OF_ONE_REJECT, ids=" ".join)
def test_a_cut_reject_of_another_record_stays_with_its_copies(engine: Engine, store: Store, keys: list[str]) -> None:
    """It mentions the id, so a part of it alone, which is not JSON, would pass for a reject of the record."""
    service = Service(engine, store)
    head, tail = b'{"id": "order-1043", "data": ["order-1042"', b', "order-1042"]}'
    put_parts(service, [(key, tail if "#1" in key else head) for key in keys])
    erasure = Erasure(store.runner, store.eraser, RECORDS, REJECTS)
    assert engine.loop.run(erasure.erase(GONE)).erased == Counts()


@pytest.mark.above_the_stores
def test_a_replay_that_is_rejected_again_is_a_reject_of_its_own(engine: Engine, store: Store) -> None:
    """It has the delivery key of the first, and may have other bytes: they are never joined with those."""
    service = Service(engine, store)
    other = [("x", b'{"id": "order-1043",'), ("x#1", b' "timestamp": "no time"}')]
    put_parts(service, other, "1")
    put_parts(service, [("x", HEAD), ("x#1", TAIL)], "2", from_us=T0_US + 2 * HOUR_US)
    erasure = Erasure(store.runner, store.eraser, RECORDS, REJECTS)
    assert engine.loop.run(erasure.count(GONE)) == Counts(rejects=2)


@pytest.mark.above_the_stores
def test_other_bytes_under_the_same_key_are_searched_on_their_own(engine: Engine, store: Store) -> None:
    """Both before the first bytes are complete and after."""
    service = Service(engine, store)
    for first in ("x", "y"):
        last = [(first, b"order-1042,broken")]
        rows = [(first, b"order-1043,"), *last * (first == "x"), (f"{first}#1", b"broken"), *last * (first == "y")]
        put_parts(service, rows)
    erasure = Erasure(store.runner, store.eraser, RECORDS, REJECTS)
    assert engine.loop.run(erasure.count(GONE)) == Counts(rejects=6)


@pytest.mark.above_the_stores
def test_what_was_answered_before_is_not_answered_again(orders: Service) -> None:
    """Neither from the cache nor by 304: the tag of a closed window is another one after an erasure."""
    client = orders.client()
    for path in ("/v1/records", "/v1/records/stats"):
        before = client.get(path, params=WINDOW)
        tag = {"If-None-Match": before.headers["etag"]}
        assert client.get(path, params=WINDOW).headers["sluice-cache"] == "hit"
        assert client.get(path, params=WINDOW, headers=tag).status_code == 304
        orders.engine.loop.run(orders.store.eraser.advance())
        after = client.get(path, params=WINDOW, headers=tag)
        assert (after.status_code, after.headers["sluice-cache"]) == (200, "miss")
        assert after.headers["etag"] != before.headers["etag"]


@pytest.mark.above_the_stores
def test_a_caller_that_sees_a_part_may_not_erase(orders: Service) -> None:
    """An erasure removes every version, also those that the caller may not see."""
    orders.principals["part"] = principal("part", source="a")
    answer = orders.client().request("DELETE", f"/v1/records/{GONE}", headers={"Authorization": "part"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert ids(orders.client()) == [GONE, GONE, THERE]


@pytest.mark.above_the_stores
def test_the_log_names_the_caller_and_not_the_record(orders: Service, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each erasure, with a hash by which who knows the id finds it."""
    orders.principals["office"] = Principal("privacy-office", frozenset({"erase"}))
    with caplog.at_level(logging.INFO, "sluice.audit"):
        orders.client().request("DELETE", f"/v1/records/{GONE}", headers={"Authorization": "office"})
    (line,) = (record.getMessage() for record in caplog.records if record.name == "sluice.audit")
    count = 3 + (not orders.engine.drops_copies)
    assert f"by privacy-office: {count} records and 0 rejects erased, 0 and 0 remain" in line
    assert GONE not in line


class Interrupted:
    """An eraser during whose first deletion a version of the record is stored."""

    learns_within_s = 60.0

    def __init__(self, store: Store, interrupt: Callable[[], Awaitable[None]]) -> None:
        self._store, self._interrupt, self._deletions = store, interrupt, 0

    @property
    def generation(self) -> int:
        return self._store.eraser.generation

    async def delete(self, query: Deletion) -> int:
        """Delete, and let something happen after the first time."""
        erased = await self._store.eraser.delete(query)
        self._deletions += 1
        if self._deletions == 1:
            await self._interrupt()
        return erased

    async def advance(self) -> None:
        await self._store.eraser.advance()


def test_what_is_stored_meanwhile_is_said_to_remain(engine: Engine, store: Store) -> None:
    """Rows go however young they are; success is not claimed while one is there, and the next erasure takes it."""
    service = Service(engine, store)
    service.put_records([(T0_US, "old", GONE), (T0_US + 3_600 * SECOND_US, "new", GONE)])
    put_rejects(service, [json_of(id=GONE)])

    async def store_another() -> None:
        row = encoded(store.appender(RECORDS), default_record(GONE), envelope("late"))
        await store.put(RECORDS, [(T0_US + 3_601 * SECOND_US, row)])

    erasure = Erasure(store.runner, Interrupted(store, store_another), RECORDS, REJECTS)
    assert engine.loop.run(erasure.count(GONE)) == Counts(records=2, rejects=1)
    found = engine.loop.run(erasure.erase(GONE))
    assert (found.erased, found.remaining) == (Counts(records=2, rejects=1), Counts(records=1))
    found = engine.loop.run(erasure.erase(GONE))
    assert (found.erased, found.remaining) == (Counts(records=1), Counts())
