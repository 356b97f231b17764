"""What waits in Pub/Sub: read in the background, and only while a caller looks.

During an outage the service knows only what waits in itself, while the messages that it refused wait in Pub/Sub. The
numbers never delay a probe, and none depends on them.
"""

import asyncio
import http.client
import logging
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import to_millisecond_text
from app.settings.load import Settings

_log = logging.getLogger("sluice.health")
_DEADLINE_S = 15.0


class BacklogError(Exception):
    """The backlog could not be read; the message says why, and what would help."""


class Waiting(msgspec.Struct, frozen=True):
    """One subscription: the messages that are not acknowledged, and the age of the oldest."""

    name: str
    messages: int
    oldest_s: float


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waited at a time; an `error` says why there is nothing newer."""

    at: Annotated[
        str | None,
        Meta(
            description="The time of the numbers; null if there are none yet.",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None
    subscriptions: tuple[Waiting, ...] = ()
    error: Annotated[str | None, Meta(description="Why the numbers could not be renewed; null if they were.")] = None


Read = Callable[[], Awaitable[Backlog]]


class BacklogWatch:
    """Keeps what `read` returned, and reads again if a caller looks and it is older than `period_s`."""

    def __init__(self, read: Read, clock: Clock, *, period_s: float) -> None:
        self._read, self._clock, self._period_us = read, clock, round(period_s * MICROSECONDS)
        self._backlog, self._due_us, self._request = Backlog(), clock.elapsed_us(), asyncio.Event()

    def latest(self) -> Backlog:
        """Return what is known, at once; have it renewed if it is due."""
        if self._clock.elapsed_us() >= self._due_us:
            self._request.set()
        return self._backlog

    async def run(self) -> None:
        """Read when it is wanted, one reading at a time, until cancelled. A failure is told, and tried again."""
        while True:
            await self._request.wait()
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    self._backlog = await self._read()
            except BacklogError as error:
                self._tell(str(error))
            except TimeoutError:
                self._tell(f"no answer within {_DEADLINE_S:g} s")
            self._due_us = self._clock.elapsed_us() + self._period_us
            self._request.clear()

    def _tell(self, error: str) -> None:
        if error != self._backlog.error:
            _log.warning("the backlog of Pub/Sub could not be read: %s", error)
        self._backlog = msgspec.structs.replace(self._backlog, error=error)


_PERIOD_S, _TIMEOUT_S = 1.0, 10.0
_MAX_BYTES = 1024 * 1024


class _Subscription(msgspec.Struct):
    subscription: str
    num_undelivered_messages: int
    oldest_unacked_message_age: float
    is_push: bool


class _Listing(msgspec.Struct):
    subscriptions: list[_Subscription]


def backlog_watch(settings: Settings, clock: Clock) -> BacklogWatch | None:
    """Return what keeps the backlog; None if `SLUICE_BACKLOG` is empty."""
    url = settings.telemetry.backlog
    if not url:
        return None

    async def in_thread() -> Backlog:
        return await asyncio.to_thread(_read, url, clock)

    return BacklogWatch(in_thread, clock, period_s=_PERIOD_S)


def _read(url: str, clock: Clock) -> Backlog:
    """Return the backlog of the push subscriptions, paused ones included; dead letters wait for people."""
    at_us = clock.now_us()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - settings allow http(s) only
            listing = msgspec.json.decode(response.read(_MAX_BYTES), type=_Listing)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise BacklogError(f"the local Pub/Sub did not tell it: {type(error).__name__}: {error}") from error
    waiting = (
        Waiting(
            each.subscription.rpartition("/")[2],
            each.num_undelivered_messages,
            round(each.oldest_unacked_message_age, 1),
        )
        for each in listing.subscriptions
        if each.is_push
    )
    return Backlog(at=to_millisecond_text(at_us), subscriptions=tuple(waiting))
