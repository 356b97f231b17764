"""An Appender that does as a test tells it and notes what it was asked, in order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from app.stores.sink import LatenessLimits, Outcome, RowEncode, SetupError, Stored

Reply = Outcome | asyncio.Future[Outcome] | Exception


class ScriptedAppender:
    """Answers each append with the next reply of the script, then as `decide` says. A future makes it wait."""

    max_in_flight = target_in_flight = 1
    lateness_limits: LatenessLimits | None = None

    def __init__(self, *replies: Reply, name: str = "records", actions: list[str] | None = None) -> None:
        self.replies = list(replies)
        self.batches: list[list[bytes]] = []
        """The rows of each append, as they were asked for."""
        self.stored: list[bytes] = []
        """The rows of the appends that were answered with Stored."""
        self.decide: Callable[[list[bytes]], Outcome] = lambda _: Stored()
        """What answers when the script has ended."""
        self.obstacle: SetupError | None = None
        """What a look at the table finds."""
        self.name, self.actions = name, [] if actions is None else actions

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what makes rows that a test can read."""

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            own = {"message_index": index, "delivery_key": delivery_key}
            return msgspec.json.encode({**msgspec.to_builtins(record), **envelope, **own})

        return encode

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        self.batches.append(list(rows))
        self.actions.append(f"append {len(rows)} to {self.name}")
        reply: Reply = self.replies.pop(0) if self.replies else self.decide(list(rows))
        if isinstance(reply, asyncio.Future):
            reply = await reply
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Stored):
            self.stored.extend(rows)
        self.actions.append(f"{type(reply).__name__} from {self.name}")
        return reply

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under a key that a test can read."""
        return b"%s~late%d" % (row, lateness)

    async def check(self) -> SetupError | None:
        return self.obstacle

    async def close(self) -> None:
        """Do nothing."""

    def rows(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(row) for row in self.stored]


def reply_later() -> asyncio.Future[Outcome]:
    """Return a reply that the test gives when it wants to."""
    return asyncio.get_running_loop().create_future()


async def turns(count: int = 20) -> None:
    """Let everything that can run, run."""
    for _ in range(count):
        await asyncio.sleep(0)


def constant(value: float) -> Callable[[], float]:
    """Return a jitter that is always `value`."""
    return lambda: value
