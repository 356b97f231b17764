"""Find the copies of messages: those that this instance has stored, and those that the table has held for long.

The memory of what was stored is an optimisation with limits (a weight and an age); reads remove any copy that it
misses. Its unit is the message: a message is acknowledged as a whole, so its copies are too.

Reads recognise copies within the look-back only. A message that is delivered again after a longer time, because a
subscription was sought backward or because its archive is stored again, is looked up before it is appended
(docs/decisions/0018-backfill-and-seek.md). Messages that wait at the same time share a query.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.verdict import Unavailable
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import HOUR_US, TimeRange, parse_instant
from app.schema.columns import Kind
from app.settings.load import Settings
from app.stores.query import Condition, Keys
from app.stores.sink import late_key, without_lateness
from app.stores.source import QueryError, QueryRunner

Result = TypeVar("Result")


class Known(NamedTuple, Generic[Result]):
    """The digest that came with a key, and its result; nearly all keys share one."""

    digest: str
    result: Result


class _Generation(Generic[Result]):
    """What was stored from one instant on, until the next generation began."""

    __slots__ = ("begun_us", "stored", "weight")

    def __init__(self, begun_us: int) -> None:
        self.begun_us, self.weight, self.stored = begun_us, 0, dict[str, Known[Result]]()


_GENERATIONS = 4
"""A part of the memory is forgotten at once: a dictionary that forgets one key at a time becomes slow."""


class Dedupe(Generic[Result]):
    """The messages in flight and those already stored, by message key.

    A `digest` is remembered with its key, for callers that may reuse a key by mistake. Each result has a weight, and
    `max_weight` bounds their sum. What is older than `max_age_s` is not known; up to a quarter of the memory is
    forgotten sooner.
    """

    def __init__(self, *, max_weight: int, max_age_s: float, elapsed_us: Callable[[], int]) -> None:
        self._elapsed_us, self._part_us = elapsed_us, round(max_age_s * MICROSECONDS) // _GENERATIONS
        self._part_weight = max(max_weight // _GENERATIONS, 1)
        self._in_flight: dict[str, tuple[str, asyncio.Future[Result] | None]] = {}
        self._newest: _Generation[Result] = _Generation(elapsed_us())
        self._generations = deque([self._newest], maxlen=_GENERATIONS)
        self._latest: Known[Result] | None = None

    def digest(self, key: str) -> str | None:
        """Return the digest that came with `key`, or None if the key is unknown."""
        if key in self._in_flight:
            return self._in_flight[key][0]
        known = self._known(key)
        return None if known is None else known.digest

    def claim(self, key: str, digest: str = "") -> Result | asyncio.Future[Result] | None:
        """Return the result of `key`, or its future while the first copy is being stored.

        None if the key is new: the caller stores the message and calls `settle`.
        """
        if (flying := self._in_flight.get(key)) is not None:
            result = flying[1] or asyncio.get_running_loop().create_future()  # created only once a copy waits
            self._in_flight[key] = (flying[0], result)
            return result
        if (known := self._known(key)) is not None:
            return known.result
        self._in_flight[key] = (digest, None)
        return None

    def settle(self, key: str, result: Result, *, stored: bool, weight: int = 1) -> None:
        """Give `result` to every waiting copy; remember it if it was stored, else forget the key."""
        digest, waiting = self._in_flight.pop(key)
        if waiting is not None:
            waiting.set_result(result)
        if stored:
            latest = self._latest
            if latest is None or latest.result is not result or latest.digest != digest:
                latest = self._latest = Known(digest, result)
            self._newest.stored[key] = latest
            self._newest.weight += weight

    def _known(self, key: str) -> Known[Result] | None:
        """Return what is known of a key, after forgetting what is too old or too much."""
        now_us = self._elapsed_us()
        if self._newest.weight >= self._part_weight or now_us - self._newest.begun_us >= self._part_us:
            self._newest = _Generation(now_us)
            self._generations.appendleft(self._newest)
        oldest_us = now_us - self._part_us * _GENERATIONS
        for generation in self._generations:
            if generation.begun_us < oldest_us:
                return None
            if (known := generation.stored.get(key)) is not None:
                return known
        return None


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
