"""Read messages that are too large or too heavy for the event loop, in one worker process.

The process is started when it is first needed, and kept. It reads one message at a time; streams and callers take
turns. Only a message that uses up its processor time or memory *in a fresh process* is at fault, and is rejected
(`too_complex`). Whatever else happens to the process, the message is delivered again.
"""

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from app.ingest.admission import Allowance
from app.ingest.decode.envelope import Message
from app.ingest.decode.protocol import HEADER, Job, Part, Start, job_of
from app.ingest.decode.reader import Decoded, RecordReader, RefusedRow
from app.ingest.decode.rejects import Reject
from app.ingest.decode.rows import RecordId, Rows
from app.ingest.decode.undeclared import UndeclaredCounts
from app.ingest.verdict import CLOSED, LATE, NO_ROOM, Throttled, Unavailable
from app.runtime.clock import MICROSECONDS, Clock
from app.settings.ingest import IngestSettings
from app.settings.store import StoreSettings

_log = logging.getLogger("sluice.ingest")
_FAILED = Unavailable("the message could not be read", 5.0)
_BUFFER_BYTES = 1024 * 1024
_encoder, _part = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Part)


class _UsedUp(NamedTuple):
    """A message took more than it may in a fresh process."""

    detail: str


class HeavyReads:
    """Reads in a worker process, which gets these settings."""

    def __init__(self, store: StoreSettings, ingest: IngestSettings, clock: Clock) -> None:
        self._start, self._limits, self._clock = Start(store=store, ingest=ingest), ingest, clock
        self._turns, self._closed = _Turns(), False
        self._worker: _Worker | None = None

    async def read(
        self, reader: RecordReader, message: Message, allowance: Allowance
    ) -> Decoded | Unavailable | Throttled:
        """Return what `reader.read` does, or the reject of a message that takes too much."""
        read = await self._result(job_of(reader.stream, message), message.data, allowance)
        return reader.too_complex(message, read.detail) if isinstance(read, _UsedUp) else read

    async def rejects_of(
        self,
        reader: RecordReader,
        message: Message,
        refused: Sequence[RefusedRow],
        allowed: int,
        allowance: Allowance,
    ) -> Sequence[Reject] | Unavailable | Throttled:
        """Return what `reader.rejects_of` does; a message that takes too much now is one reject, whole."""
        job = job_of(reader.stream, message, refused, allowed)
        read = await self._result(job, message.data, allowance)
        if isinstance(read, _UsedUp):
            return reader.too_complex(message, f"{refused[0].detail}; {read.detail}").rejects
        return read.rejects if isinstance(read, Decoded) else read

    async def close(self) -> None:
        """End the process; what is being read or waits is answered, to be delivered again."""
        self._closed = True
        worker = self._worker
        self._end_worker()
        if worker is not None:
            await worker.ended()

    async def _result(self, job: Job, data: bytes, allowance: Allowance) -> Decoded | Unavailable | Throttled | _UsedUp:
        left_s = (allowance.deadline_us - self._clock.elapsed_us()) / MICROSECONDS
        try:
            async with asyncio.timeout(left_s), self._turns.turn((job.stream, _caller(allowance))):
                return await self._ask(job, data, allowance)
        except TimeoutError:
            return LATE

    async def _ask(self, job: Job, data: bytes, allowance: Allowance) -> Decoded | Unavailable | Throttled | _UsedUp:
        while not self._closed:
            is_fresh = self._worker is None
            try:
                worker = self._worker = self._worker or await _Worker.started(self._start)
            except OSError as error:  # no memory, or no more processes
                _log.error("the worker process cannot be started: %s", error)
                return _FAILED
            is_whole = False
            try:
                answer = await worker.ask(job, data, allowance)
                is_whole = not isinstance(answer, _UsedUp | Unavailable)
            finally:
                if not is_whole:  # also if this is cancelled in the middle
                    self._end_worker()
            if not isinstance(answer, _UsedUp):
                return answer
            _log.warning("the worker process ended: %s took %s", "a message" if is_fresh else "messages", answer.detail)
            if is_fresh:
                return answer
        return CLOSED

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def _caller(allowance: Allowance) -> str:
    return allowance.holding.caller if allowance.holding is not None else ""


class _Worker:
    """The process, and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, limits: IngestSettings) -> None:
        if process.stdin is None or process.stdout is None:
            raise TypeError("the process has no pipes")
        self._process, self._limits = process, limits
        self._jobs, self._results, self._is_killed = process.stdin, process.stdout, False

    @classmethod
    async def started(cls, start: Start) -> "_Worker":
        """Start a process. It imports from where this one does."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "app.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            limit=_BUFFER_BYTES,
        )
        worker = cls(process, start.ingest)
        worker._send(_encoder.encode(start))
        return worker

    async def ask(self, job: Job, data: bytes, allowance: Allowance) -> Decoded | Unavailable | Throttled | _UsedUp:
        """Return the result of a job. The process must not be used after `_UsedUp` or `Unavailable`."""
        try:
            self._send(_encoder.encode(job))
            self._send(data)
            await self._jobs.drain()
            return await self._received(allowance)
        except (ConnectionError, asyncio.IncompleteReadError):
            return await self._why_ended()

    def kill(self) -> None:
        """End the process at once."""
        self._is_killed = True
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        """Wait until the process has ended."""
        await self._process.wait()

    def _send(self, frame: bytes) -> None:
        self._jobs.write(HEADER.pack(len(frame)))
        self._jobs.write(frame)

    async def _received(self, allowance: Allowance) -> Decoded | Unavailable | Throttled | _UsedUp:
        encoded, ids, indexes = list[bytes](), list[RecordId](), list[int]()
        rejects, undeclared = list[Reject](), UndeclaredCounts()
        has_room, is_last = True, False
        while not is_last:
            (size,) = HEADER.unpack(await self._results.readexactly(HEADER.size))
            part = _part.decode(await self._results.readexactly(size))
            is_last = part.is_last
            if part.lacks_memory:
                return _UsedUp(f"more than {self._limits.max_read_memory_bytes // 1024**2} MiB of memory")
            if part.failure:
                _log.error("the worker process failed unexpectedly: %s", part.failure)
                return _FAILED
            has_room = has_room and allowance.has_room(size)
            if has_room:
                encoded += part.encoded
                ids += part.ids
                indexes += part.indexes
                rejects += part.rejects
                undeclared.update({(path, outcome): count for path, outcome, count in part.undeclared})
        return Decoded(Rows(encoded, ids, indexes), rejects, undeclared) if has_room else NO_ROOM

    async def _why_ended(self) -> Unavailable | _UsedUp:
        status = await self._process.wait()
        if status == -signal.SIGXCPU:
            return _UsedUp(f"more than {self._limits.max_read_cpu_s} s of processor time")
        if not self._is_killed:
            _log.error("the worker process ended with status %d while it read a message", status)
        return _FAILED


class _Turns:
    """One holder at a time; keys that wait take turns, each key's waiters first come, first served."""

    def __init__(self) -> None:
        self._waiting: dict[object, deque[asyncio.Future[None]]] = {}
        self._taken = False

    @asynccontextmanager
    async def turn(self, key: object) -> AsyncIterator[None]:
        """Wait for the turn, and pass it on at the end of the block."""
        if self._taken:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, deque()).append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if not mine.cancelled():  # it was handed over in the same turn of the loop
                    self._pass_on()
                raise
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            key, waiters = next(iter(self._waiting.items()))
            del self._waiting[key]
            first = waiters.popleft()
            if waiters:
                self._waiting[key] = waiters  # behind all others
            if not first.done():
                first.set_result(None)
                return
        self._taken = False
