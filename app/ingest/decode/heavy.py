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
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordId, RecordReader, Rows
from app.ingest.decode.rejects import Reject
from app.ingest.decode.worker import HEADER, Job, Part, Start
from app.ingest.intake import Allowance
from app.ingest.verdict import CLOSED, LATE, NO_ROOM, Throttled, Unavailable
from app.runtime.clock import MICROSECONDS, Clock
from app.schema.undeclared_members import Undeclared
from app.settings.ingest import IngestSettings
from app.settings.store import StoreSettings

_log = logging.getLogger("sluice.ingest")
_FAILED = Unavailable("the message could not be read", 5.0)
_BUFFER_BYTES = 1024 * 1024
_encoder, _part = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Part)


class HeavyReads:
    """Reads in a worker process, which gets these settings."""

    def __init__(self, store: StoreSettings, ingest: IngestSettings, clock: Clock) -> None:
        self._start, self._clock, self._closed = Start(store=store, ingest=ingest), clock, False
        self._one_at_a_time = asyncio.Lock()
        # So each stream and caller has one message at most in that queue.
        self._own_queues: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._worker: _Worker | None = None

    async def read(
        self, reader: RecordReader, message: Message, allowance: Allowance
    ) -> Decoded | Unavailable | Throttled:
        """Return what `reader.read` does, or the reject of a message that takes too much."""
        left_s = (allowance.deadline_us - self._clock.elapsed_us()) / MICROSECONDS
        caller = allowance.reservation.caller if allowance.reservation is not None else ""
        try:
            async with asyncio.timeout(left_s), self._own_queues[reader.stream, caller], self._one_at_a_time:
                return await self._read(reader, message, allowance)
        except TimeoutError:
            return LATE

    async def rejects_of(
        self, reader: RecordReader, message: Message, refused: Sequence[Reject], allowed: int
    ) -> Sequence[Reject]:
        """Return what `reader.rejects_of` does, in a thread: the worker has read these bytes, so they are no bomb."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(reader.rejects_of, message, refused, allowed)

    async def close(self) -> None:
        """End the process; what is being read or waits is answered, to be delivered again."""
        self._closed = True
        worker = self._worker
        self._end_worker()
        if worker is not None:
            await worker.process.wait()

    async def _read(
        self, reader: RecordReader, message: Message, allowance: Allowance
    ) -> Decoded | Unavailable | Throttled:
        while not self._closed:
            is_fresh = self._worker is None
            try:
                worker = self._worker = self._worker or await _Worker.started(self._start)
            except OSError as error:  # no memory, or no more processes
                _log.error("the worker process cannot be started: %s", error)
                return _FAILED
            is_whole = False
            try:
                answer = await worker.read(reader.stream, message, allowance)
                is_whole = not isinstance(answer, str | Unavailable)
            finally:
                if not is_whole:  # also if this is cancelled in the middle
                    self._end_worker()
            if not isinstance(answer, str):
                return answer
            _log.warning("the worker process ended: %s took %s", "a message" if is_fresh else "messages", answer)
            if is_fresh:
                return reader.too_complex(message, answer)
        return CLOSED

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


class _Worker:
    """The process, and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, limits: IngestSettings) -> None:
        if process.stdin is None or process.stdout is None:
            raise TypeError("the process has no pipes")
        self.process, self._limits = process, limits
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

    async def read(
        self, stream: str, message: Message, allowance: Allowance
    ) -> Decoded | Unavailable | Throttled | str:
        """Return the rows and rejects of a message, or what it has used up.

        The process must not be used after a text or `Unavailable`.
        """
        without_data = msgspec.structs.replace(message, data=b"", parent=None, span=None)
        try:
            self._send(_encoder.encode(Job(stream, without_data)))
            self._send(message.data)
            await self._jobs.drain()
            return await self._received(allowance)
        except (ConnectionError, asyncio.IncompleteReadError):
            return await self._why_ended()

    def kill(self) -> None:
        """End the process at once."""
        self._is_killed = True
        if self.process.returncode is None:
            self.process.kill()

    def _send(self, frame: bytes) -> None:
        self._jobs.write(HEADER.pack(len(frame)))
        self._jobs.write(frame)

    async def _received(self, allowance: Allowance) -> Decoded | Unavailable | Throttled | str:
        encoded, ids, indexes = list[bytes](), list[RecordId](), list[int]()
        rejects, undeclared = list[Reject](), Undeclared()
        has_room, is_last = True, False
        while not is_last:
            (size,) = HEADER.unpack(await self._results.readexactly(HEADER.size))
            part = _part.decode(await self._results.readexactly(size))
            is_last = part.is_last
            if part.lacks_memory:
                return f"more than {self._limits.max_read_memory_bytes // 1024**2} MiB of memory"
            if part.failure:
                _log.error("the worker process failed unexpectedly: %s", part.failure)
                return _FAILED
            has_room = has_room and allowance.has_room(size)
            if has_room:
                encoded += part.encoded
                ids += part.ids
                indexes += part.indexes
                rejects += part.rejects
                undeclared.update(part.undeclared)
        return Decoded(Rows(encoded, ids, indexes), rejects, undeclared) if has_room else NO_ROOM

    async def _why_ended(self) -> Unavailable | str:
        status = await self.process.wait()
        if status == -signal.SIGXCPU:
            return f"more than {self._limits.max_read_cpu_s} s of processor time"
        if not self._is_killed:
            _log.error("the worker process ended with status %d while it read a message", status)
        return _FAILED
