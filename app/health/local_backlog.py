"""The backlog as the local Pub/Sub tells it; on Google Cloud, its own dashboard and an alert have it."""

import asyncio
import http.client
import urllib.request

import msgspec

from app.health.backlog import Backlog, BacklogError, BacklogWatch, Waiting
from app.runtime.clock import Clock
from app.runtime.instants import to_millisecond_text
from app.settings.load import Settings

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
