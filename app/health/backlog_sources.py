"""Who tells what waits in Pub/Sub: Cloud Monitoring, or the local Pub/Sub.

Cloud Monitoring samples both metrics every minute and shows a sample up to four minutes later
(https://docs.cloud.google.com/monitoring/api/metrics_gcp_p_z), so an answer carries the time of its samples. Packages
for it are imported in the first reading.
"""

import asyncio
import http.client
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.health.backlog import Backlog, BacklogError, BacklogWatch, Waiting
from app.runtime.clock import Clock
from app.runtime.instants import from_epoch_us
from app.settings.load import Settings

CLOUD = "cloud"
MESSAGES = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OLDEST = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
_CLOUD_PERIOD_S, _LOCAL_PERIOD_S = 60.0, 1.0
_TIMEOUT_S = 10.0
_MAX_BYTES = 1024 * 1024
_LOOK_BACK = timedelta(minutes=10)
_SCOPE = "https://www.googleapis.com/auth/monitoring.read"
_CURES = {
    401: "Cloud Monitoring does not accept the service's credentials",
    403: "the service's account lacks the right monitoring.timeSeries.list, which roles/monitoring.viewer has",
    404: "Cloud Monitoring does not know the project",
    429: "the quota of Cloud Monitoring is exhausted",
}


def backlog_watch(settings: Settings, clock: Clock) -> BacklogWatch | None:
    """Return what keeps the backlog; None if `SLUICE_BACKLOG` is empty."""
    source = settings.telemetry.backlog
    if not source:
        return None
    if source == CLOUD:
        read, period_s = _Cloud(settings, clock).read, _CLOUD_PERIOD_S
    else:
        read, period_s = (lambda: _local(source, clock)), _LOCAL_PERIOD_S

    async def in_thread() -> Backlog:
        return await asyncio.to_thread(read)

    return BacklogWatch(in_thread, clock, period_s=period_s)


class _LocalOne(msgspec.Struct):
    subscription: str
    num_undelivered_messages: int
    oldest_unacked_message_age: float
    is_push: bool


class _LocalAll(msgspec.Struct):
    subscriptions: list[_LocalOne]


def _local(url: str, clock: Clock) -> Backlog:
    """Return the backlog of the push subscriptions, paused ones included; dead letters wait for people."""
    at_us = clock.now_us()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - settings allow http(s) only
            body = response.read(_MAX_BYTES + 1)
        listing = _read(body, _LocalAll)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise BacklogError(f"the local Pub/Sub did not tell it: {type(error).__name__}: {error}") from error
    waiting = (
        Waiting(_id(each.subscription), each.num_undelivered_messages, round(each.oldest_unacked_message_age, 1))
        for each in listing.subscriptions
        if each.is_push
    )
    return Backlog(at=_instant(from_epoch_us(at_us)), subscriptions=tuple(waiting))


class _Interval(msgspec.Struct, rename="camel"):
    end_time: datetime


class _Value(msgspec.Struct, rename="camel"):
    # int64 values are texts in Google's JSON; those that are 0 are there as well.
    int64_value: int = 0
    double_value: float = 0.0


class _Point(msgspec.Struct):
    interval: _Interval
    value: _Value


class _Resource(msgspec.Struct):
    labels: Mapping[str, str]


class _Series(msgspec.Struct):
    resource: _Resource
    points: list[_Point]


class _Answer(msgspec.Struct, rename="camel"):
    time_series: list[_Series] = []


_Newest = dict[str, tuple[datetime, float]]


class _Cloud:
    """Reads both metrics of the service's subscriptions; the session is made in the first reading, and kept."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._session: Any = None

    def read(self) -> Backlog:
        """Return the newest samples; their time is that of the oldest among them."""
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        try:
            messages, oldest = (self._newest(metric) for metric in (MESSAGES, OLDEST))
        except (GoogleAuthError, RequestException, ValueError) as error:
            raise BacklogError(f"Cloud Monitoring did not tell it: {type(error).__name__}: {error}"[:500]) from error
        if not messages:
            raise BacklogError("Cloud Monitoring has no samples of the last ten minutes")
        waiting = (
            Waiting(name, round(number), round(oldest[name][1], 1) if name in oldest else 0.0)
            for name, (_, number) in sorted(messages.items())
        )
        return Backlog(at=_instant(min(at for at, _ in messages.values())), subscriptions=tuple(waiting))

    def _newest(self, metric: str) -> _Newest:
        body = self._get(self._parameters(metric))
        newest: _Newest = {}
        for series in _read(body, _Answer).time_series:
            name = series.resource.labels.get("subscription_id", "")
            for point in series.points:
                one = point.interval.end_time, point.value.int64_value or point.value.double_value
                newest[name] = max(newest.get(name, one), one)
        return newest

    def _parameters(self, metric: str) -> dict[str, str]:
        now = from_epoch_us(self._clock.now_us())
        return {
            "filter": f'metric.type = "{metric}"{_of(self._settings.telemetry.backlog_subscriptions)}',
            "interval.startTime": _instant(now - _LOOK_BACK),
            "interval.endTime": _instant(now),
            "pageSize": "1000",
        }

    def _get(self, parameters: Mapping[str, str]) -> bytes:
        session = self._session = self._session or _session()
        telemetry = self._settings.telemetry
        url = f"{telemetry.cloud_monitoring_url}/v3/projects/{self._settings.project}/timeSeries"
        with session.get(url, params=parameters, timeout=_TIMEOUT_S, stream=True) as response:
            if response.status_code != 200:
                status = response.status_code
                raise BacklogError(_CURES.get(status, f"Cloud Monitoring answered {status}"))
            body: bytes = response.raw.read(_MAX_BYTES + 1, decode_content=True)
        return body


def _session() -> Any:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=(_SCOPE,))
    return AuthorizedSession(credentials)


def _of(subscriptions: Sequence[str]) -> str:
    """Return the part of the filter that names subscriptions; all of the project if there are none."""
    named = ", ".join(f'"{each}"' for each in subscriptions)
    return f" AND resource.labels.subscription_id = one_of({named})" if named else ""


def _read(body: bytes, kind: Callable[..., Any]) -> Any:
    """Return the document in `body`.

    Raises:
        ValueError: it is too large, or another one.
    """
    if len(body) > _MAX_BYTES:
        raise ValueError(f"the answer is larger than {_MAX_BYTES} bytes")
    return msgspec.json.decode(body, type=kind, strict=False)


def _id(name: str) -> str:
    return name.rpartition("/")[2]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
