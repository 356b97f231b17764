"""Named readers: how far each has come, and so how far behind the settled horizon it is.

A reader names itself with a request header. To note a position is a dictionary write; what it means is worked out when
somebody asks. Where instances share a Valkey, each sends what it noted every few seconds, and learns what others did.
"""

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, cast

import msgspec
from litestar.enums import HttpMethod
from msgspec import Meta

from app.environment import Environment
from app.http.contract import Parameter
from app.http.endpoint import Ask
from app.http.problems import FieldError, ProblemError
from app.query.answer.contract import Instant
from app.query.request.cursor import instant_of
from app.runtime.clock import MICROSECONDS
from app.runtime.deadlines import BestEffort
from app.runtime.instants import DAY_US, to_text
from app.stores.source import QueryRunner
from app.streams import Streams
from app.telemetry import instruments
from app.telemetry.metrics import Values

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

READER: Final = "Sluice-Reader"
READER_PARAMETER = Parameter(
    "The reader's own name, by which `/v1/readers` shows how far behind it is. Only for one that follows the feed.",
    "billing-export",
    {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    location="header",
)
MOST_READERS, MOST_OF_ONE = 100, 20
"""How many readers are known, in all and of one caller; those seen least recently leave."""
FORGOTTEN_AFTER_US = 7 * DAY_US
SHARE_EVERY_S = 10.0
_ANSWER_WITHIN_S = 1.0  # of Valkey; nobody waits for it
_NAME = re.compile(READER_PARAMETER.schema["pattern"])
_log = logging.getLogger("sluice.query")
Note = Callable[[str | int], None]
"""Notes a reader's position: a resume cursor, or an instant (microseconds since the epoch)."""


class Key(NamedTuple):
    """Which reader: whose, of which table, and its name."""

    principal: str
    table: str
    name: str


class Seen(NamedTuple):
    """Where a reader was, as in `Note`, and when (microseconds since the epoch)."""

    position: str | int
    seen_us: int


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A reader: it has every record before `position`."""

    name: str
    principal: Annotated[str, Meta(description="Whose reader it is.")]
    stream: Annotated[str, Meta(description="The stream that it reads, or `records_rejected`.")]
    position: Instant
    lag_s: Annotated[float, Meta(description="Seconds from `position` to the settled horizon.")]
    last_seen: Instant


def kept(seen: Mapping[Key, Seen], now_us: int) -> dict[Key, Seen]:
    """Return those that are remembered at `now_us`, the most recently seen first."""
    found, by_caller = dict[Key, Seen](), Counter[str]()
    for key, each in sorted(seen.items(), key=lambda item: -item[1].seen_us):
        is_fresh = now_us - each.seen_us < FORGOTTEN_AFTER_US
        if is_fresh and by_caller[key.principal] < MOST_OF_ONE and len(found) < MOST_READERS:
            by_caller[key.principal] += 1
            found[key] = each
    return found


class Readers:
    """The readers that this instance has answered and, with a `shared` Valkey, those of the others."""

    def __init__(
        self, environment: Environment, runner: QueryRunner, streams: Streams, shared: "Valkey | None" = None
    ) -> None:
        self._clock, self._runner, self._shared = environment.clock, runner, shared
        self._tables = {table.name for table in (*streams.tables, streams.rejects)}
        self._own, self._others = dict[Key, Seen](), dict[Key, Seen]()
        self._hash = f"sluice:readers:{environment.settings.telemetry.system}"
        self._service = BestEffort(environment.clock, deadline_s=_ANSWER_WITHIN_S, pause_s=SHARE_EVERY_S, warn=_warn)
        environment.metrics.gauges[instruments.READER_LAG] = self._lags

    @property
    def are_shared(self) -> bool:
        """Whether the readers of all instances are known."""
        return self._shared is not None

    def named_in(self, request: Ask, table: str) -> Note:
        """Return what notes the position of the reader of `table` that a request names, if it names one.

        Raises:
            ProblemError: `invalid_parameter`: the header is no name.
        """
        name = request.headers.get(READER)
        if name is not None and not _NAME.fullmatch(name):
            message = "expected 1 to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`"
            error = FieldError(name=READER, message=message, example=READER_PARAMETER.example)
            raise ProblemError("invalid_parameter", f"{READER}: {message}", errors=(error,))
        if name is None or request.method == HttpMethod.HEAD or table not in self._tables:
            return lambda _: None
        return partial(self.note, Key(request.state.principal.name, table, name))

    def note(self, key: Key, position: str | int) -> None:
        """Remember how far a reader has come."""
        seen = Seen(position, self._clock.now_us())
        if key in self._own:
            self._own[key] = seen
        else:
            self._own = kept({**self._own, key: seen}, seen.seen_us)

    def all(self) -> list[Reader]:
        """Return the readers, the most recently seen first."""
        newest = {**self._others, **self._own}
        newest |= {key: each for key, each in self._others.items() if each.seen_us > newest[key].seen_us}
        remembered = kept(newest, self._clock.now_us()).items()
        return [self._reader(key, each) for key, each in remembered if key.table in self._tables]

    def _reader(self, key: Key, seen: Seen) -> Reader:
        position_us = _instant(seen.position)
        return Reader(
            name=key.name,
            principal=key.principal,
            stream=key.table,
            position=to_text(position_us),
            lag_s=round(max(self._runner.horizon_us(key.table) - position_us, 0) / MICROSECONDS, 3),
            last_seen=to_text(seen.seen_us),
        )

    def _lags(self) -> Values:
        """Return the lag of each name and table: callers, whose names may be addresses, are no label."""
        shortest_first = sorted(self.all(), key=lambda each: each.lag_s)
        lag_s = {(each.stream, each.name): each.lag_s for each in shortest_first}  # the longest replaces others
        return [(seconds, {"table": table, "reader": name}) for (table, name), seconds in lag_s.items()]

    async def share(self) -> None:
        """Exchange readers with the other instances for ever, if there is a way."""
        while self._shared is not None:
            await self._clock.sleep(SHARE_EVERY_S)
            await self._service.call(partial(self._exchange, self._shared))

    async def _exchange(self, shared: "Valkey") -> None:
        found: Mapping[bytes, bytes] = await cast("Awaitable[Any]", shared.hgetall(self._hash))
        decode = msgspec.json.decode
        stored = {decode(key, type=Key): decode(seen, type=Seen) for key, seen in found.items()}
        newer = {
            key: Seen(_instant(each.position), each.seen_us)
            for key, each in [*self._own.items()]
            if key not in stored or stored[key].seen_us < each.seen_us
        }
        self._others = kept(stored | newer, self._clock.now_us())
        async with shared.pipeline(transaction=True) as pipeline:
            for key in self._others.keys() & newer.keys():
                pipeline.hset(self._hash, _text(key), _text(newer[key]))
            for key in stored.keys() - self._others.keys():
                pipeline.hdel(self._hash, _text(key))
            pipeline.expire(self._hash, FORGOTTEN_AFTER_US // MICROSECONDS)
            await pipeline.execute()


def _instant(position: str | int) -> int:
    return position if isinstance(position, int) else instant_of(position)


def _text(value: Key | Seen) -> str:
    return msgspec.json.encode(value).decode()


def _warn(error: Exception) -> None:
    _log.warning("Valkey does not answer, so only this instance's readers are known: %s", type(error).__name__)
