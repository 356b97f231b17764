"""The worker process: read one message at a time, within limits on processor time and memory.

A message that takes too much processor time ends the process, by the kernel (`RLIMIT_CPU`); nothing else can interrupt
a decoder. One that takes too much memory is a MemoryError (`RLIMIT_AS`), after which the process ends too. On macOS the
kernel ignores that limit. The process ends with the service: then its input does.

Both sides send frames over a pipe, each a length and MessagePack: a Start, then a Job and the message's data for each
message, which the process answers with Parts.
"""

import gc
import math
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from traceback import extract_tb
from typing import BinaryIO

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordId, RecordReader
from app.ingest.decode.rejects import Reject
from app.runtime.memory import return_large_blocks
from app.schema.undeclared_members import Outcome
from app.settings.ingest import IngestSettings
from app.settings.store import StoreSettings

HEADER = struct.Struct("<Q")
_FRAME_BYTES = 512 * 1024
"""About how large a part of the results is: each is decoded on the event loop, in well under a millisecond."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame: what a worker needs to know once. It holds the secret for personal data."""

    store: StoreSettings
    ingest: IngestSettings


class Job(msgspec.Struct, frozen=True):
    """A message to read, whose data follow as a frame of their own."""

    stream: str
    message: Message


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the result; the last one says so, and whether the worker ran out of memory or failed otherwise."""

    encoded: list[bytes] = []
    ids: list[RecordId] = []
    indexes: list[int] = []
    rejects: list[Reject] = []
    undeclared: dict[Outcome, int] = {}
    is_last: bool = False
    lacks_memory: bool = False
    failure: str = ""


Readers = Mapping[str, RecordReader]
_start, _job, _encoder = msgspec.msgpack.Decoder(Start), msgspec.msgpack.Decoder(Job), msgspec.msgpack.Encoder()


class _EndError(Exception):
    """The service has ended."""


def serve(readers_of: Callable[[Start], Readers]) -> None:
    """Answer jobs until the input ends; `readers_of` returns the reader of each stream."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which still needs this process
    return_large_blocks()
    # What a declaration prints must not reach the service as a result.
    jobs, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        start = _start.decode(_frame(jobs))
        readers = readers_of(start)
        gc.disable()  # it would look at each value of a large payload, and find nothing
        gc.freeze()
        _limit_memory(start.ingest.max_read_memory_bytes)
        while True:
            job, data = _job.decode(_frame(jobs)), _frame(jobs)
            _limit_cpu(start.ingest.max_read_cpu_s)
            for part in _answer(readers[job.stream], msgspec.structs.replace(job.message, data=data)):
                frame = _encoder.encode(part)
                results.write(HEADER.pack(len(frame)) + frame)
                if part.lacks_memory:
                    raise _EndError  # noqa: TRY301 - the flush below belongs to both
            results.flush()
            del job, data
            gc.collect()
    except (_EndError, BrokenPipeError):
        results.flush()


def _answer(reader: RecordReader, message: Message) -> Iterator[Part]:
    """Yield the parts of the result of reading `message`."""
    try:
        yield from _parts_of(reader.read(message))
    except MemoryError:
        yield Part(is_last=True, lacks_memory=True)
    except Exception as error:  # a defect; its text may quote the message
        place = extract_tb(error.__traceback__)[-1]
        yield Part(is_last=True, failure=f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}")


def _parts_of(decoded: Decoded) -> Iterator[Part]:
    """Yield the parts of a result, of about _FRAME_BYTES each."""
    part, size = Part(), 0
    for row, record_id, index in zip(decoded.rows.encoded, decoded.rows.ids, decoded.rows.indexes, strict=True):
        part.encoded.append(row)
        part.ids.append(record_id)
        part.indexes.append(index)
        size += len(row)
        if size >= _FRAME_BYTES:
            yield part
            part, size = Part(), 0
    for rejected in decoded.rejects:
        part.rejects.append(rejected)
        size += len(rejected.raw)
        if size >= _FRAME_BYTES:
            yield part
            part, size = Part(), 0
    yield msgspec.structs.replace(part, undeclared=decoded.undeclared, is_last=True)


def _frame(jobs: BinaryIO) -> bytes:
    header = jobs.read(HEADER.size)
    if len(header) < HEADER.size:
        raise _EndError
    (size,) = HEADER.unpack(header)
    frame = jobs.read(size)
    if len(frame) < size:
        raise _EndError
    return frame


def _limit_cpu(seconds: int) -> None:
    """Let this process use `seconds` more of processor time; then the kernel ends it with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + seconds)


def _limit_memory(more_bytes: int) -> None:
    """Let this process map `more_bytes` more than now, where the kernel says how much that is."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + more_bytes)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
