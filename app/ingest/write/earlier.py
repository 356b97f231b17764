"""Find records that the table holds already, however long ago they were stored.

Reads recognise copies within the look-back only. A message that is delivered again after a longer time, because a
subscription was sought backward or because its archive is stored again, is looked up before it is appended
(docs/decisions/0018-backfill-and-seek.md). Messages that wait at the same time share a query.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from app.ingest.decode.envelope import Message
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


class _Search(msgspec.Struct, eq=False):
    """The keys of one message, when it was published, and the answer once there is one: those that are stored."""

    published_us: int
    keys: Sequence[str]
    answer: frozenset[str] | QueryError | None = None


class EarlierCopies:
    """Looks up the delivery keys of messages published in [`from_us`, now - `older_than_us`)."""

    def __init__(self, runner: QueryRunner, clock: Clock, *, from_us: int, older_than_us: int, lead_us: int) -> None:
        self._runner, self._clock = runner, clock
        self._from_us, self._older_than_us, self._lead_us = from_us, older_than_us, lead_us
        self._waiting: defaultdict[str, list[_Search]] = defaultdict(list)
        self._one_by_one: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def concerns(self, message: Message) -> bool:
        """Return whether an earlier copy of `message` may be out of the reach of reads."""
        published_us = message.published_us
        return published_us is not None and self._from_us <= published_us < self._clock.now_us() - self._older_than_us

    async def stored(self, table: str, message: Message, keys: Sequence[str]) -> frozenset[str]:
        """Return those of `keys` that rows of `table` have; `message` tells when they can have been stored.

        Raises:
            QueryError: the store gave no answer.
        """
        search = _Search(message.published_us or 0, keys)
        self._waiting[table].append(search)
        try:
            async with self._one_by_one[table]:
                while (answer := search.answer) is None:
                    await self._answer(table, _together(self._waiting[table]))
        finally:
            self._waiting[table].remove(search)
        if isinstance(answer, QueryError):
            raise answer
        return answer

    async def _answer(self, table: str, searches: Sequence[_Search]) -> None:
        """Answer the searches with one query, or two: nearly every copy is found in the first."""
        keys = [key for search in searches for key in search.keys]
        published_us = [search.published_us for search in searches]
        from_us = min(published_us) - self._lead_us
        usually_us = min(max(published_us) + _USUALLY_WITHIN_US, self._clock.now_us())
        try:
            stored_keys = await self._look_up(table, from_us, usually_us, keys)
            if missing := [key for key in keys if key not in stored_keys]:
                stored_keys |= await self._look_up(table, usually_us, self._clock.now_us() + self._lead_us, missing)
        except QueryError as error:
            for search in searches:
                search.answer = error
            return
        for search in searches:
            search.answer = frozenset(stored_keys.intersection(search.keys))

    async def _look_up(self, table: str, from_us: int, to_us: int, keys: Sequence[str]) -> set[str]:
        """Return those of `keys` that rows stamped in [from_us, to_us) have. A late row counts under its first key."""
        stored_keys: set[str] = set()
        for start in range(0, len(keys), _KEYS_OF_A_QUERY):
            some = keys[start : start + _KEYS_OF_A_QUERY]
            power_of_two = 1 << (len(some) - 1).bit_length()
            padded = [*some, *[some[-1]] * (power_of_two - len(some))]  # few different statements
            candidates = (*padded, *(late_key(key, 1) for key in padded))
            condition = Condition("delivery_key", (), "in", Kind.STRING, candidates)
            query = Keys(table=table, within=TimeRange(from_us, to_us), conditions=(condition,), purpose="look_up")
            answer = await self._runner.rows(query)
            stored_keys.update(without_lateness(row["delivery_key"]) for row in answer.rows)
        return stored_keys


def _together(searches: Iterable[_Search]) -> list[_Search]:
    """Return the oldest messages without an answer that one look-up is for: published close together."""
    first, *others = sorted((each for each in searches if each.answer is None), key=lambda each: each.published_us)
    together, room = [first], _KEYS_OF_A_QUERY - len(first.keys)
    for each in others:
        room -= len(each.keys)
        if each.published_us > first.published_us + _USUALLY_WITHIN_US or room < 0:
            break
        together.append(each)
    return together


def not_looked_up(error: QueryError) -> Unavailable:
    """Return the verdict on a message when the store did not say whether it holds the message already."""
    _log.warning("cannot look up earlier copies: %s", error)
    return Unavailable("it is not known yet whether the message is stored already", _AGAIN_S)


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
