"""Find records that the table holds already, however long ago they were stored.

Reads recognise copies within the look-back only. A message that is delivered again after a longer time, because a
subscription was sought backward or because its archive is stored again, is looked up before it is appended
(docs/decisions/0018-backfill-and-seek.md). Messages that wait at the same time share a query.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.rows import Rows
from app.ingest.verdict import Unavailable
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import HOUR_US, parse_instant
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.settings.load import Settings
from app.stores.query import Condition, Keys
from app.stores.sink import late_key, without_lateness
from app.stores.source import QueryError, QueryRunner

# A first copy is nearly always stored soon after its publication, so a look-up begins there, and reads the rest only
# for messages that it has not found.
_USUALLY_WITHIN_US = HOUR_US
_AGAIN_S = 5.0
_log = logging.getLogger("sluice.ingest")
_KEYS_OF_A_QUERY = 1_024  # twice as many parameters; BigQuery accepts 10,000


class _Search(msgspec.Struct, frozen=True):
    """The keys of one message, when it was published, and the future of those that are stored."""

    published_us: int
    keys: Sequence[str]
    stored_keys: asyncio.Future[frozenset[str]]


class EarlierCopies:
    """Looks up the delivery keys of messages published in [`from_us`, now - `older_than_us`)."""

    def __init__(self, runner: QueryRunner, clock: Clock, *, from_us: int, older_than_us: int, lead_us: int) -> None:
        self._runner, self._clock = runner, clock
        self._from_us, self._older_than_us, self._lead_us = from_us, older_than_us, lead_us
        self._waiting: defaultdict[str, list[_Search]] = defaultdict(list)
        self._searches: dict[str, asyncio.Task[None]] = {}

    def concerns(self, message: Message) -> bool:
        """Return whether an earlier copy of `message` may be out of the reach of reads."""
        published_us = message.published_us
        return published_us is not None and self._from_us <= published_us < self._clock.now_us() - self._older_than_us

    async def stored(self, table: str, message: Message, keys: Sequence[str]) -> frozenset[str]:
        """Return those of `keys` that rows of `table` have; `message` tells when they can have been stored.

        Raises:
            QueryError: the store gave no answer.
        """
        search = _Search(message.published_us or 0, keys, asyncio.get_running_loop().create_future())
        self._waiting[table].append(search)
        if table not in self._searches:
            self._searches[table] = asyncio.create_task(self._answer_all(table))
        return await search.stored_keys

    async def _answer_all(self, table: str) -> None:
        """Answer the searches of `table`, one query after the other, until none waits."""
        try:
            while waiting := self._waiting.pop(table, None):
                together, later = _together(waiting)
                self._waiting[table] = later
                await self._answer(table, together)
        finally:
            del self._searches[table]
            for search in self._waiting.pop(table, ()):  # the task was cancelled
                search.stored_keys.cancel()

    async def _answer(self, table: str, searches: Sequence[_Search]) -> None:
        try:
            keys = [key for search in searches for key in search.keys]
            published_us = [search.published_us for search in searches]
            from_us = min(published_us) - self._lead_us
            usually_us = min(max(published_us) + _USUALLY_WITHIN_US, self._clock.now_us())
            stored_keys = await self._look_up(table, from_us, usually_us, keys)
            if missing := [key for key in keys if key not in stored_keys]:
                stored_keys |= await self._look_up(table, usually_us, self._clock.now_us() + self._lead_us, missing)
            for search in searches:
                if not search.stored_keys.done():
                    search.stored_keys.set_result(frozenset(stored_keys.intersection(search.keys)))
        except BaseException as error:
            for search in searches:
                if not search.stored_keys.done():
                    if isinstance(error, Exception):
                        search.stored_keys.set_exception(error)
                    else:
                        search.stored_keys.cancel()
            if not isinstance(error, Exception):
                raise

    async def _look_up(self, table: str, from_us: int, to_us: int, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that rows stamped in [from_us, to_us) have. A late row counts under its first key."""
        stored_keys: set[str] = set()
        for some in _parts(keys):
            padded = [*some, *[some[-1]] * (_next_power_of_two(len(some)) - len(some))]  # few different statements
            candidates = (*padded, *(late_key(key, 1) for key in padded))
            condition = Condition("delivery_key", (), "in", Kind.STRING, candidates)
            query = Keys(table=table, within=TimeRange(from_us, to_us), conditions=(condition,), purpose="look_up")
            answer = await self._runner.rows(query)
            stored_keys.update(without_lateness(row["delivery_key"]) for row in answer.rows)
        return stored_keys


def _together(searches: Iterable[_Search]) -> tuple[list[_Search], list[_Search]]:
    """Return the oldest messages that one look-up is for, published close together, and the others."""
    ordered = sorted(searches, key=lambda search: search.published_us)
    until_us, room = ordered[0].published_us + _USUALLY_WITHIN_US, _KEYS_OF_A_QUERY
    for position, search in enumerate(ordered):
        room -= len(search.keys)
        if position and (search.published_us > until_us or room < 0):
            return ordered[:position], ordered[position:]
    return ordered, []


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS_OF_A_QUERY):
        yield keys[start : start + _KEYS_OF_A_QUERY]


async def new_rows(earlier: EarlierCopies, table: str, message: Message, rows: Rows) -> Rows | Unavailable:
    """Return the rows of `message` that `table` does not hold yet."""
    keys = [message.delivery_key(index) for index in rows.indexes]
    try:
        stored = await earlier.stored(table, message, keys)
    except QueryError as error:
        return not_looked_up(error)
    return rows.without({position for position, key in enumerate(keys) if key in stored}) if stored else rows


def not_looked_up(error: QueryError) -> Unavailable:
    """Return the verdict on a message when the store did not say whether it holds the message already."""
    _log.warning("cannot look up earlier copies: %s", error)
    return Unavailable("it is not known yet whether the message is stored already", _AGAIN_S)


def _next_power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def copies_after_seek(settings: Settings, runner: QueryRunner, clock: Clock) -> EarlierCopies | None:
    """Return what looks up the messages of a seek that SLUICE_SEEK_SINCE declares; None without one."""
    since = settings.ingest.seek_since
    if not since:
        return None
    return EarlierCopies(
        runner,
        clock,
        from_us=parse_instant(since, clock.now_us()),
        # Reads recognise a copy that is stored within the look-back after the first one. Storing takes the rest.
        older_than_us=round((settings.query.dedupe_lookback_s - settings.ingest.request_budget_s) * MICROSECONDS),
        lead_us=settings.store.max_lead_us,
    )
