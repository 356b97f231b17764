"""The durations of a response's stages, for the `Server-Timing` header (https://www.w3.org/TR/server-timing/).

Browsers show it with the request, and scripts read it through the Performance API.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from app.runtime.clock import Clock

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


class Timing:
    """Collects the stages of one request, which begins when this is created."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_us = clock.elapsed_us()
        self._stages_us: dict[str, int] = {}
        self.bytes_processed: int | None = None
        """The bytes that the store read for the request; None if it does not report them."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block, however it ends, to the stage `name`: a token, such as `store`.

        Concurrent stages are counted separately, so their sum may exceed the total.

        Raises:
            ValueError: `name` is not allowed in the header.
        """
        _check(name)
        begun_us = self._clock.elapsed_us()
        try:
            yield
        finally:
            took_us = self._clock.elapsed_us() - begun_us
            self._stages_us[name] = self._stages_us.get(name, 0) + took_us

    def add_bytes(self, count: int | None) -> None:
        """Add the bytes that one query read; None if the store does not report them."""
        if count is not None:
            self.bytes_processed = (self.bytes_processed or 0) + count

    def header(self, cache: str) -> str:
        """Return the header's value: the cache state, the stages in the order they first ended, and the total.

        Durations are in milliseconds, as browsers read them.

        Raises:
            ValueError: `cache` is not a token, such as `hit`.
        """
        _check(cache)
        total_us = self._clock.elapsed_us() - self._begun_us
        durations = {**self._stages_us, "total": total_us}
        return ", ".join([f"cache;desc={cache}", *(f"{name};dur={us / 1000:.1f}" for name, us in durations.items())])


def _check(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a token")
