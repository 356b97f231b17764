"""The service that is fuzzed: its callers, its records, and what is checked around each request."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sluice.testing.pace import patience_s
from tests.long.fuzz.case import Asked, request_bytes
from tests.long.fuzz.oracle import NARROW, NARROW_SOURCE, wrong
from tests.long.fuzz.wire import exchange
from tests.support.instance import Caller, Instance, complaints, instance, resources

CALLERS = (
    Caller("everything", ("read", "write", "rejects", "metrics")),
    Caller("reader", ("read",)),
    Caller("writer", ("write",)),
    Caller(NARROW, ("read",), {"source": NARROW_SOURCE}),
)
MAX_MEMORY_BYTES = 512 * 1024 * 1024
_ANSWER_S, _LIVE_S = 35.0, 1.0


class WrongError(AssertionError):
    """An answer, or the service after it, is not as it must be."""


class Target:
    """A running service; `counts` has how many answers had which status."""

    def __init__(self, running: Instance) -> None:
        self._running = running
        self.url, self.counts = running.url, Counter[int]()
        self._numbers = itertools.count()
        self._stem = f"fuzz-{time.time_ns():x}"
        self._promised: dict[str, Asked] = {}
        self._log_read = 0

    def fill(self) -> None:
        """Store records of two sources, so that a filter has something to hide, and some rejects."""
        sources = (NARROW_SOURCE, "other", None)
        records = [
            {"id": f"id{n}", "timestamp": "2026-01-31T12:00:00Z", "source": sources[n % 3], "data": {"n": n}}
            for n in range(60)
        ]
        headers = {"Authorization": f"Bearer {self.bearer('everything')}"}
        answer = httpx.post(f"{self.url}/v1/records", json=[*records, {"id": 7}, "none"], headers=headers, timeout=60)
        assert answer.status_code == 207, answer.text

    def bearer(self, caller: str) -> str:
        """Return the key of a caller, or the pusher's token."""
        return self._running.push_token if caller == "push" else self._running.keys[caller]

    def check(self, case: Asked) -> None:
        """Send a case, and check the answer and the service.

        Raises:
            WrongError: something is not as it must be.
        """
        found = self._ask(case) + self._service()
        if found:
            raise WrongError("; ".join(found))

    def promised_and_missing(self) -> list[str]:
        """End the service; return the messages answered 2xx that have left neither a record nor a reject."""
        self._running.terminate()
        stored = self._running.stored_messages()
        return [f"{case}" for message_id, case in self._promised.items() if message_id not in stored]

    def _ask(self, asked: Asked) -> list[str]:
        message_id = f"{self._stem}-{next(self._numbers)}"
        data = request_bytes(asked, message_id, self.bearer)
        try:
            answer = exchange(self.url, data, method=asked.method, within_s=patience_s(_ANSWER_S))
        except TimeoutError:
            return [f"no answer within {patience_s(_ANSWER_S):g} s"]
        self.counts[answer.status] += 1
        if asked.holds_records and 200 <= answer.status < 300:
            self._promised[message_id] = asked
        return wrong(asked, answer)

    def _service(self) -> list[str]:
        """Say what is wrong with the service: whether it lives, its memory, its log."""
        if self._running.process.poll() is not None:
            return ["the process ended"]
        begun_s = time.monotonic()
        try:
            request = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            alive = exchange(self.url, request, method="GET", within_s=patience_s(_ANSWER_S)).status == 200
        except OSError as error:
            return [f"liveness: {error}"]
        found = [] if alive else ["liveness is not answered 200"]
        if (took_s := time.monotonic() - begun_s) > patience_s(_LIVE_S):
            found.append(f"liveness took {took_s:.1f} s")
        if (held := resources(self._running.pid).rss_bytes) > MAX_MEMORY_BYTES:
            found.append(f"memory is {held // 2**20} MiB")
        return found + [f"log: {line[:300]}" for line in complaints(self._new_log())]

    def _new_log(self) -> str:
        """Return the whole lines that were logged since the last time."""
        with self._running.log.open("rb") as file:
            file.seek(self._log_read)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self._log_read += len(text)
        return text.decode(errors="replace")


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Run a service with callers and records, until the block ends."""
    with instance(folder, CALLERS, tail_max_s="0.2", requests_per_minute="0") as running:
        found = Target(running)
        found.fill()
        yield found
