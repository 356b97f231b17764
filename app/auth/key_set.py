"""The issuer's public keys: fetched once, kept by their Cache-Control, refreshed in the background."""

import asyncio
import http.client
import logging
import re
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec
from google.auth import crypt

from app.runtime.circuit_breaker import backoff_s
from app.runtime.clock import MICROSECONDS, Clock

_log = logging.getLogger("sluice.auth")
_MAX_BYTES = 1024 * 1024
_TIMEOUT_S = 5.0
DEFAULT_MAX_AGE_S = 3_600.0
MIN_MAX_AGE_S, MAX_MAX_AGE_S = 60.0, 86_400.0  # a withdrawn key is gone within a day
STALE_S = 86_400.0  # how long expired keys stay usable while newer ones cannot be fetched
COOL_DOWN_S = 30.0  # between two refreshes caused by unknown key ids
RETRY_BASE_S, RETRY_MAX_S = 1.0, 60.0
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


class KeySetError(Exception):
    """The key set could not be fetched or read; the message says why."""


class FetchedKeys(msgspec.Struct, frozen=True):
    """A key set as served: PEM by key id, and its maximum age."""

    keys: Mapping[str, str]
    max_age_s: float


Fetch = Callable[[], Awaitable[FetchedKeys]]
Key = tuple[str, str]
"""A key id and its PEM: an id that is reused for another PEM is another key."""


def key_fetcher(url: str) -> Fetch:
    """Return a function that fetches the key set at `url` in a thread.

    The format is that of https://www.googleapis.com/oauth2/v1/certs: a JSON object of key id to PEM.
    """

    def fetch() -> FetchedKeys:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - settings allow http(s) only
                return read_key_set(response.read(_MAX_BYTES + 1), response.headers.get("Cache-Control", ""))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise KeySetError(f"{url}: {type(error).__name__}: {error}") from error

    return lambda: asyncio.to_thread(fetch)


def read_key_set(body: bytes, cache_control: str) -> FetchedKeys:
    """Read a served key set.

    Raises:
        KeySetError: it is not a JSON object of key id to PEM, is empty, holds no RSA key or is implausibly large.
    """
    if len(body) > _MAX_BYTES:
        raise KeySetError(f"the key set is larger than {_MAX_BYTES} bytes")
    try:
        keys = msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeySetError(f"the key set must be a JSON object of key id to PEM: {error}") from None
    # Keys of other types are skipped. An error page that happens to be JSON must not replace good keys.
    usable = {key_id: pem for key_id, pem in keys.items() if _is_rsa(pem)}
    if not usable:
        raise KeySetError(f"the key set has {len(keys)} members, but no RSA public key or certificate")
    max_age = _MAX_AGE.search(cache_control.lower())
    max_age_s = float(max_age[1]) if max_age else DEFAULT_MAX_AGE_S
    return FetchedKeys(usable, min(max(max_age_s, MIN_MAX_AGE_S), MAX_MAX_AGE_S))


def _is_rsa(pem: str) -> bool:
    try:
        crypt.RSAVerifier.from_string(pem).verify(b"", b"")
    except Exception:  # not PEM, or the key of another algorithm: the libraries raise various exceptions
        return False
    return True


class KeySet:
    """The newest keys that could be fetched. `run` keeps them fresh; `find` refreshes them when it must."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: Mapping[str, str] = {}
        self._max_age_s = 0.0
        self._expire_us = 0
        self._refresh: asyncio.Task[None] | None = None
        self._may_ask_us = 0
        self._replaced: list[Callable[[Collection[Key]], None]] = []

    def on_replaced(self, forget: Callable[[Collection[Key]], None]) -> None:
        """Call `forget` with the keys of every new set: tokens signed by any other key are void."""
        self._replaced.append(forget)

    @property
    def is_ready(self) -> bool:
        """Whether there are usable keys: some were fetched, and not too long ago."""
        return bool(self._usable())

    async def run(self) -> None:
        """Fetch the keys now, and again each time before they expire; retry failures with a growing delay."""
        failures = 0
        while True:
            try:
                await self._refreshed()
            except KeySetError as error:
                delay_s = backoff_s(RETRY_BASE_S, RETRY_MAX_S, failures)
                failures += 1
                _log.warning("cannot fetch the key set, next attempt in %g s: %s", delay_s, error)
            else:
                failures = 0
                delay_s = self._max_age_s * 0.8
            await self._clock.sleep(delay_s)

    async def find(self, key_id: str) -> str | None:
        """Return the PEM of `key_id`; None if the issuer does not have it.

        An unknown id refreshes the keys, as the issuer may have rotated them, at most once per cool-down. Concurrent
        calls wait for the refresh in progress, so a new key is not taken for an unknown one.

        Raises:
            KeySetError: no keys could be fetched yet, or not for so long that the last ones are no longer trusted.
        """
        key = self._usable().get(key_id)
        if key is not None:
            return key
        if self._refresh is not None and not self._refresh.done():
            await asyncio.wait([self._refresh])
        elif self._clock.elapsed_us() >= self._may_ask_us:
            self._may_ask_us = self._clock.elapsed_us() + round(COOL_DOWN_S * MICROSECONDS)
            try:
                await self._refreshed()
            except KeySetError as error:
                _log.warning("cannot refresh the key set: %s", error)
        usable = self._usable()
        if not usable:
            raise KeySetError("the key set is too old" if self._keys else "the key set has not been fetched yet")
        return usable.get(key_id)

    def _usable(self) -> Mapping[str, str]:
        """Return the keys; none once they have been expired for STALE_S without a successful refresh."""
        return self._keys if self._clock.elapsed_us() < self._expire_us else {}

    async def _refreshed(self) -> None:
        """Fetch the keys, joining a fetch that is already in progress."""
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.ensure_future(self._fetch_once())
        await asyncio.shield(self._refresh)

    async def _fetch_once(self) -> None:
        try:
            fetched = await self._fetch()
        except KeySetError:
            raise
        except Exception as error:  # whatever it is, the next try may succeed, and the current keys stay usable
            raise KeySetError(f"{type(error).__name__}: {error}") from error
        self._keys, self._max_age_s = fetched.keys, fetched.max_age_s
        self._expire_us = self._clock.elapsed_us() + round((fetched.max_age_s + STALE_S) * MICROSECONDS)
        for forget in self._replaced:
            forget(frozenset(fetched.keys.items()))
