"""Named readers: how far each has come, and so how far behind the settled horizon it is.

A reader names itself with a request header. To note a position is a dictionary write; what it means is worked out when
somebody asks. Where instances share a Valkey, each sends what it noted every few seconds, and learns what others did.
"""

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
from litestar.enums import HttpMethod

from app.environment import Environment
from app.http.contract import Parameter
from app.http.endpoint import Ask
from app.http.problems import FieldError, ProblemError
from app.query.request.cursor import instant_of
from app.runtime.clock import MICROSECONDS
from app.runtime.deadlines import BestEffort
from app.runtime.instants import DAY_US
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


class ReaderKey(NamedTuple):
    """Which reader: whose, of which table, and its name."""

    principal: str
    table: str
    name: str


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader is, by a resume cursor or an instant, and when it was there (microseconds since the epoch)."""

    position: str | int
    seen_us: int

    @property
    def position_us(self) -> int:
        """The instant up to which it has read."""
        return instant_of(self.position) if isinstance(self.position, str) else self.position


class Reader(NamedTuple):
    """A reader, with its lag behind the settled horizon of its table."""

    key: ReaderKey
    position_us: int
    seen_us: int
    lag_us: int


def kept(seen: Mapping[ReaderKey, Seen], now_us: int) -> dict[ReaderKey, Seen]:
    """Return those that are remembered at `now_us`, the most recently seen first."""
    newest = sorted(seen.items(), key=lambda item: item[1].seen_us, reverse=True)
    found, by_caller = dict[ReaderKey, Seen](), Counter[str]()
    for key, each in newest:
        if now_us - each.seen_us < FORGOTTEN_AFTER_US and by_caller[key.principal] < MOST_OF_ONE:
            by_caller[key.principal] += 1
            found[key] = each
            if len(found) == MOST_READERS:
                break
    return found


Note = Callable[[str | int], None]
"""Notes a reader's position: a resume cursor, or an instant (microseconds since the epoch)."""


def _nothing(_: str | int) -> None:
    return


class Readers:
    """The readers that this instance has answered and, with a `shared` Valkey, those of the others."""

    def __init__(
        self, environment: Environment, runner: QueryRunner, streams: Streams, shared: "Valkey | None" = None
    ) -> None:
        self._clock, self._runner, self._shared = environment.clock, runner, shared
        self._tables = {table.name for table in (*streams.tables, streams.rejects)}
        self._own, self._others = dict[ReaderKey, Seen](), dict[ReaderKey, Seen]()
        self._name = f"sluice:readers:{environment.settings.telemetry.system}"
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
            return _nothing
        return partial(self.note, ReaderKey(request.state.principal.name, table, name))

    def note(self, key: ReaderKey, position: str | int) -> None:
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
        readers = []
        for key, each in kept(newest, self._clock.now_us()).items():
            if key.table in self._tables:  # another instance may have more
                position_us = each.position_us
                lag_us = max(self._runner.horizon_us(key.table) - position_us, 0)
                readers.append(Reader(key, position_us, each.seen_us, lag_us))
        return readers

    async def share(self) -> None:
        """Exchange readers with the other instances for ever, if there is a way."""
        while self._shared is not None:
            await self._clock.sleep(SHARE_EVERY_S)
            await self._service.call(partial(self._exchange, self._shared))

    async def _exchange(self, shared: "Valkey") -> None:
        now_us = self._clock.now_us()
        found: Mapping[bytes, bytes] = await cast("Awaitable[Any]", shared.hgetall(self._name))
        stored = {_key(name): msgspec.json.decode(seen, type=Seen) for name, seen in found.items()}
        newer = {
            key: Seen(each.position_us, each.seen_us)
            for key, each in [*self._own.items()]
            if key not in stored or stored[key].seen_us < each.seen_us
        }
        self._others = kept(stored | newer, now_us)
        async with shared.pipeline(transaction=True) as pipeline:
            for key, each in newer.items():
                if key in self._others:
                    pipeline.hset(self._name, _text(key), _text(each))
            for key in stored.keys() - self._others.keys():
                pipeline.hdel(self._name, _text(key))
            pipeline.expire(self._name, FORGOTTEN_AFTER_US // MICROSECONDS)
            await pipeline.execute()

    def _lags(self) -> Values:
        """Return the lag of each name and table: callers, whose names may be addresses, are no label."""
        longest_us = Counter[tuple[str, str]]()
        for reader in self.all():
            label = (reader.key.table, reader.key.name)
            longest_us[label] = max(longest_us[label], reader.lag_us)
        return [
            (lag_us / MICROSECONDS, {"table": table, "reader": name}) for (table, name), lag_us in longest_us.items()
        ]


def _text(value: ReaderKey | Seen) -> str:
    return msgspec.json.encode(value).decode()


def _key(text: bytes) -> ReaderKey:
    return msgspec.json.decode(text, type=ReaderKey)


def _warn(error: Exception) -> None:
    _log.warning("Valkey does not answer, so only this instance's readers are known: %s", type(error).__name__)
