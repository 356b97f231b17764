"""Erasure over both stores: every version and copy of a record, and nothing of anybody else's."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from app.auth.grants import Principal
from app.query.erase import Erased, Erasure, digest_of
from app.runtime.instants import DAY_US, SECOND_US, from_epoch_us
from app.stores.erasures import ErasedRecord
from app.stores.query import Deletion
from tests.contract.application import principal
from tests.contract.service import SINCE, WINDOW, Client, Service, default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, T0_US, Engine, Store
from tests.encoding import encoded

GONE, THERE = "order-1042", "order-1043"


def ids(client: Client, **asked: str) -> list[str]:
    """Return the ids that a page gives."""
    answer = client.get("/v1/records", params={**WINDOW, **asked})
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


def erased(record_id: str, until_us: int) -> ErasedRecord:
    """Return the erasure of a default record."""
    return ErasedRecord(stream="records", digest=digest_of(record_id), until=from_epoch_us(until_us))


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
    assert told["erased"] == 3 + (not orders.engine.drops_copies)
    assert told["remaining"] == 0
    assert ids(client) == [THERE]
    assert client.get(f"/v1/records/{GONE}").status_code == 404
    assert GONE not in client.get("/v1/records", params={**WINDOW, "limit": "all"}).text
    again = client.request("DELETE", f"/v1/records/{GONE}")
    assert (again.status_code, again.json()["erased"]) == (200, 0)


@pytest.mark.above_the_stores
def test_what_was_answered_before_is_not_answered_again(orders: Service) -> None:
    """Neither from the cache nor by 304: the tag of a closed window is another one after an erasure."""
    client = orders.client()
    for path in ("/v1/records", "/v1/records/stats"):
        before = client.get(path, params=WINDOW)
        tag = {"If-None-Match": before.headers["etag"]}
        assert client.get(path, params=WINDOW).headers["sluice-cache"] == "hit"
        assert client.get(path, params=WINDOW, headers=tag).status_code == 304
        orders.engine.loop.run(orders.store.eraser.advance(erased("anybody", T0_US)))
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
    assert f"by privacy-office: {count} records erased, 0 remain" in line
    assert GONE not in line


class Interrupted:
    """An eraser during whose first deletion a version of the record is stored."""

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

    async def advance(self, erased: ErasedRecord) -> None:
        await self._store.eraser.advance(erased)


@pytest.mark.above_the_stores
def test_what_is_stored_meanwhile_is_said_to_remain(engine: Engine, store: Store) -> None:
    """Rows go however young they are; success is not claimed while one is there, and the next erasure takes it."""
    service = Service(engine, store)
    service.put_records([(T0_US, "old", GONE), (T0_US + 3_600 * SECOND_US, "new", GONE)])

    async def store_another() -> None:
        row = encoded(store.appender(RECORDS), default_record(GONE), envelope("late"))
        await store.put(RECORDS, [(T0_US + 3_601 * SECOND_US, row)])

    erasure = Erasure(store.runner, Interrupted(store, store_another), RECORDS)
    assert engine.loop.run(erasure.count(GONE)) == 2
    assert engine.loop.run(erasure.erase(GONE)) == Erased(2, 1)
    assert engine.loop.run(erasure.erase(GONE)) == Erased(1, 0)


def test_an_erasure_is_told_by_a_digest_and_an_instant(orders: Service) -> None:
    """Oldest first, each from a cursor on; what is told has neither the id nor a part of the record."""
    client, clock = orders.client(), orders.store.clock
    begin = client.get("/v1/erasures", params={"since": SINCE})
    assert (begin.status_code, begin.json()["records"]) == (200, [])
    for record_id in (GONE, "unknown"):
        assert client.request("DELETE", f"/v1/records/{record_id}").status_code == 200
        orders.settle(clock.now_us() + SECOND_US)
    page = client.get("/v1/erasures", params={"cursor": begin.json()["resume_cursor"], "limit": 1}).json()
    (first,) = page["records"]
    assert first.keys() == {"digest", "until", "ingest_time", "delivery_key"}
    assert first["digest"] == digest_of(GONE)
    assert datetime.fromisoformat(first["until"]) >= from_epoch_us(T0_US + 10)
    (second,) = client.get("/v1/erasures", params={"cursor": page["resume_cursor"]}).json()["records"]
    assert second["digest"] == digest_of("unknown")
    assert second["ingest_time"] > first["ingest_time"]


@pytest.mark.above_the_stores
def test_an_erasure_that_failed_at_its_end_is_told_when_it_is_repeated(engine: Engine, store: Store) -> None:
    """Its rows are gone, so nothing says how young they were: everything that is settled counts as erased."""
    service = Service(engine, store)
    service.put_record(T0_US, "k0", GONE)
    engine.loop.run(store.eraser.delete(Deletion(table="records", first_us=0, last_us=T0_US, conditions=())))
    assert engine.loop.run(Erasure(store.runner, store.eraser, RECORDS).erase(GONE)) == Erased(0, 0)
    service.settle(store.clock.now_us() + SECOND_US)
    (told,) = service.client().get("/v1/erasures", params={"since": SINCE}).json()["records"]
    assert datetime.fromisoformat(told["until"]) >= from_epoch_us(T0_US)


@pytest.mark.above_the_stores
def test_erasures_are_kept_from_callers_that_see_a_part(orders: Service) -> None:
    """Nothing says whether the caller could see the record."""
    orders.principals["part"] = principal("part", source="a")
    answer = orders.client().get("/v1/erasures", headers={"Authorization": "part"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "whose record" in answer.json()["detail"]


@pytest.mark.above_the_stores
def test_erasures_have_no_filters(orders: Service) -> None:
    """A digest is looked for in what one has read."""
    answer = orders.client().get("/v1/erasures", params={"digest": "a"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
