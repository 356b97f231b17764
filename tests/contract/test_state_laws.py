"""The law of a state: it is the fold of the feed up to its moment, and the feed goes on from there."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec import Meta

from app.query.read import feed
from app.runtime.instants import DAY_US, HOUR_US, SECOND_US, epoch_us, to_text
from app.schema.table import Table, records_table
from tests.contract.application import principal
from tests.contract.service import Service
from tests.contract.shelf import LOOKBACK_US, Put, envelope, originals
from tests.contract.stores import REJECTS, Engine, Store
from tests.encoding import encoded
from tests.long_form import examples


class Flight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record whose versions may come out of order, and end."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    number: Annotated[int | None, Meta(extra={"sluice": ["sequence"]})] = None
    cancelled: Annotated[bool | None, Meta(extra={"sluice": ["deleted"]})] = None
    gate: Annotated[str, Meta(extra={"sluice": ["filter"]})]
    airline: Annotated[str, Meta(extra={"sluice": ["filter"]})]


class Plain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same without these roles: the last version is the latest."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    number: int | None = None
    cancelled: bool | None = None
    gate: Annotated[str, Meta(extra={"sluice": ["filter"]})]
    airline: Annotated[str, Meta(extra={"sluice": ["filter"]})]


FLIGHTS = records_table(Flight)
_VALUES = itertools.product("abcde", [None, 1, 1, 2], [None, False, True], "xy", "pq")
# A key is of one record, and those of canaries begin with their prefix.
DELIVERIES = {
    f"{'heartbeat:' if number % 9 == 8 else 'k'}{number}": Flight(
        id=each[0], number=each[1], cancelled=each[2], gate=each[3], airline=each[4]
    )
    for number, each in enumerate(_VALUES)
}
_BATCHES = st.lists(st.sampled_from([*DELIVERIES]), min_size=1, max_size=12, unique=True)
_STEPS = st.sampled_from([0, 1, SECOND_US, 70 * SECOND_US, LOOKBACK_US - 1, LOOKBACK_US + 1, 9 * HOUR_US])
_LIMITS = st.lists(st.integers(1, 3), min_size=1, max_size=3)
_FILTERS = st.sampled_from([{}, {}, {"gate": "x"}, {"gate.ne": "x"}])
_CALLERS = st.sampled_from(["", "", "p", "q"])


class Caller(NamedTuple):
    """Who reads, by the airline that it may see, and with which filters of its own."""

    airline: str
    filters: dict[str, str]

    def may_see(self, key: str) -> bool:
        return not key.startswith("heartbeat:") and DELIVERIES[key].airline in (self.airline or "pq")

    def asks_for(self, key: str) -> bool:
        gate = DELIVERIES[key].gate
        return self.filters.get("gate", gate) == gate and self.filters.get("gate.ne", "") != gate


class Stateful(RuleBasedStateMachine):
    """Rows are stored, copied, erased and expire, while states are read in pages and followed."""

    def __init__(self, engine: Engine, store: Store, table: Table) -> None:
        super().__init__()
        self.engine, self.store, self.table = engine, store, table
        self.puts, self.erased = list[Put](), set[str]()

        # An empty store, and no answers from before.
        self.engine.loop.run(self.store.clear())
        self.service = Service(self.engine, self.store, self.table)  # which keeps rows for a day
        self.service.principals |= {each: principal(each, airline=each) for each in "pq"}
        self.client = self.service.client()

    @rule(keys=_BATCHES, step_us=_STEPS)
    def append(self, keys: list[str], step_us: int = 0) -> None:
        """Store a batch with one stamp, some of whose rows are copies; what is erased is not sent again."""
        appender, stamp_us = self.store.appender(self.table), self.store.clock.now_us()
        new = [key for key in keys if DELIVERIES[key].id not in self.erased]
        self.puts += [Put(stamp_us, key, DELIVERIES[key].id) for key in new]
        records = {key: msgspec.convert(DELIVERIES[key], self.table.record_type, from_attributes=True) for key in new}
        rows = [(stamp_us, encoded(appender, record, envelope(key))) for key, record in records.items()]
        self.engine.loop.run(self.store.put(self.table, rows))
        self.service.settle(stamp_us + step_us + 1)
        self.engine.loop.run(self.store.clock.advance(2))  # type: ignore[attr-defined] # longer than open pages are kept

    @rule(record_id=st.sampled_from("abcde"))
    @precondition(lambda self: not self.erased)
    def erase(self, record_id: str) -> None:
        """Every version of a record goes, and none comes again."""
        assert self.client.request("DELETE", f"/v1/records/{record_id}").status_code == 200
        self.puts = [put for put in self.puts if put.id != record_id]
        self.erased.add(record_id)

    @rule(airline=_CALLERS, filters=_FILTERS, limits=_LIMITS, back=st.integers(0, 5), meanwhile=_BATCHES)
    def read(self, airline: str, filters: dict[str, str], limits: list[int], back: int, meanwhile: list[str]) -> None:
        """A state is the fold of the feed up to its moment, whatever is stored between its pages; so is its export."""
        caller = Caller(airline, filters)
        known = sorted({put.ingest_us for put in self._kept()})
        asked = {"as_of": to_text(known[-back] + back % 2)} if 0 < back <= len(known) else {}
        first = self._get("/v1/state", caller, limit=str(limits[0]), **asked)
        self.append(meanwhile)
        up_to_us = _instant(first["window"]["until"])
        assert _instant(first["window"]["since"]) == self._since_us()
        assert not asked or up_to_us == known[-back] + back % 2
        rest = self._pages("/v1/state", caller, limits, first["next_cursor"])
        assert _keys(first, *rest) == self._folded(caller, up_to_us)
        assert {page["resume_cursor"] for page in rest} <= {first["resume_cursor"]}
        moment = {"as_of": first["resume_cursor"], "limit": "all"}
        answer = self.client.get("/v1/state", params=filters | moment, headers={"Authorization": airline})
        assert [line["delivery_key"] for line in map(msgspec.json.decode, answer.text.splitlines())] == _keys(
            first, *rest
        )
        self._follow(caller, limits, first["resume_cursor"], (up_to_us, ""))

    @rule(airline=_CALLERS, filters=_FILTERS, limit=st.integers(1, 6), limits=_LIMITS)
    def stop(self, airline: str, filters: dict[str, str], limit: int, limits: list[int]) -> None:
        """The state as of any position of the feed is the fold up to it, in the middle of an instant too."""
        caller = Caller(airline, filters)
        page = self._get("/v1/records", caller, since=to_text(self._since_us()), limit=str(limit))
        first = self._get("/v1/state", caller, limit=str(limits[0]), as_of=page["resume_cursor"])
        found = _keys(first, *self._pages("/v1/state", caller, limits, first["next_cursor"]))
        position = (_instant(page["window"]["until"]), "")
        if page["next_cursor"]:
            position = (_instant(page["records"][-1]["ingest_time"]), page["records"][-1]["delivery_key"])
        assert first["resume_cursor"] == page["resume_cursor"]
        assert found == self._folded(caller, *position)
        self._follow(caller, limits, first["resume_cursor"], position)

    def _follow(self, caller: Caller, limits: Sequence[int], cursor: str, position: tuple[int, str]) -> None:
        """The feed behind a state has all later rows, and with the tombstones they make the next state."""
        later = self._pages("/v1/records", caller, limits, cursor)
        counted = self._counted(caller)
        beyond = [put for put in counted if (put.ingest_us, put.key) > position]
        assert _keys(*later) == [put.key for put in beyond if caller.asks_for(put.key)]
        if not caller.filters:
            state = self._get("/v1/state", caller, as_of=cursor, tombstones="include", limit="1000")
            assert {put.key for put in self._alive(counted)} == {put.key for put in self._alive(_puts(state, *later))}

    def _kept(self) -> list[Put]:
        return [put for put in originals(self.puts) if put.ingest_us >= self._since_us()]

    def _counted(self, caller: Caller) -> list[Put]:
        return [put for put in self._kept() if caller.may_see(put.key)]

    def _since_us(self) -> int:
        return -(-(self.store.clock.now_us() - DAY_US) // HOUR_US) * HOUR_US

    def _folded(self, caller: Caller, up_to_us: int, last_key: str = "") -> list[str]:
        """Return the keys of the state at a moment, of the model."""
        up_to = (up_to_us, last_key)
        counted = [put for put in self._counted(caller) if (put.ingest_us, put.key) < up_to or put[:2] == up_to]
        alive = self._alive(counted)
        return [put.key for put in counted if put in alive and caller.asks_for(put.key)]

    def _alive(self, counted: list[Put]) -> set[Put]:
        """Return the latest version of each id among versions in the order of the feed, without tombstones."""
        heads = dict[str, tuple[tuple[Any, ...], Put]]()
        for put in counted:
            number = DELIVERIES[put.key].number if self.table.sequence else None
            rank = (number is not None, number or 0, put.ingest_us, put.key)
            if put.id not in heads or heads[put.id][0] < rank:
                heads[put.id] = rank, put
        return {put for _, put in heads.values() if not (self.table.deleted and DELIVERIES[put.key].cancelled)}

    def _get(self, path: str, caller: Caller, **asked: str) -> dict[str, Any]:
        answer = self.client.get(path, params=caller.filters | asked, headers={"Authorization": caller.airline})
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def _pages(self, path: str, caller: Caller, limits: Sequence[int], cursor: str | None) -> list[dict[str, Any]]:
        """Follow a cursor to the end of its window; the limits take turns."""
        pages = list[dict[str, Any]]()
        for limit in itertools.cycle(limits):
            if cursor is None:
                break
            pages.append(self._get(path, caller, cursor=cursor, limit=str(limit)))
            cursor = pages[-1]["next_cursor"]
        return pages


def _keys(*pages: dict[str, Any]) -> list[str]:
    return [record["delivery_key"] for page in pages for record in page["records"]]


def _puts(*pages: dict[str, Any]) -> list[Put]:
    records = [record for page in pages for record in page["records"]]
    return [Put(_instant(each["ingest_time"]), each["delivery_key"], each["id"]) for each in records]


def _instant(text: str) -> int:
    return epoch_us(datetime.fromisoformat(text))


@pytest.mark.slow
@pytest.mark.parametrize("record_type", [Flight, Plain])
def test_a_state_is_the_fold_of_the_feed(
    engine: Engine, record_type: type[msgspec.Struct], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment, for any caller, sequences, tombstones, copies, erasures and pages; and the feed goes on there."""
    hold(engine, record_type, monkeypatch)


def hold(
    engine: Engine,
    record_type: type[msgspec.Struct],
    monkeypatch: pytest.MonkeyPatch,
    machine: Callable[[Engine, Store, Table], Stateful] = Stateful,
) -> None:
    """Run the state machine over a store of the engine."""
    monkeypatch.setattr(feed, "_FIRST_VERSIONS", 2)
    monkeypatch.setattr(feed, "_MOST_VERSIONS", 5)
    table = records_table(record_type)
    store = engine.loop.run(engine.open([table, REJECTS]))
    fast = engine.name in {"embedded", "memory"}
    limits = settings(
        max_examples=examples((25 if fast else 6) if engine.name != "bigquery" else 4),
        stateful_step_count=20 if fast else 6,
        deadline=None,
        suppress_health_check=[*HealthCheck],
        phases={Phase.explicit, Phase.reuse, Phase.generate},
    )
    run_state_machine_as_test(lambda: machine(engine, store, table), settings=limits)  # type: ignore[arg-type] # any maker
    engine.loop.run(store.close())
