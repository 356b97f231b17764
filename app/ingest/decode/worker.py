"""The loop of the worker process: read one message at a time, within limits on processor time and memory.

A message that takes too much processor time ends the process, by the kernel (`RLIMIT_CPU`); nothing else can interrupt
a decoder. One that takes too much memory is a MemoryError (`RLIMIT_AS`), after which the process ends too. On macOS the
kernel ignores that limit. The process ends with the service: then its input does.
"""

import gc
import math
import os
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from traceback import extract_tb
from typing import BinaryIO

import msgspec

from app.ingest.decode.protocol import HEADER, Job, Part, Start, message_of, parts_of
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.rows import NO_ROWS
from app.runtime.memory import return_large_blocks

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
            for part in _answer(readers[job.stream], job, data):
                frame = _encoder.encode(part)
                results.write(HEADER.pack(len(frame)) + frame)
                if part.lacks_memory:
                    raise _EndError  # noqa: TRY301 - the flush below belongs to both
            results.flush()
            del job, data
            gc.collect()
    except (_EndError, BrokenPipeError):
        results.flush()


def _answer(reader: RecordReader, job: Job, data: bytes) -> Iterator[Part]:
    """Yield the parts of the result of one job."""
    try:
        message = message_of(job, data)
        if job.refused:
            yield from parts_of(Decoded(NO_ROWS, reader.rejects_of(message, job.refused, job.allowed)))
        else:
            yield from parts_of(reader.read(message))
    except MemoryError:
        yield Part(is_last=True, lacks_memory=True)
    except Exception as error:  # a defect; its text may quote the message
        place = extract_tb(error.__traceback__)[-1]
        yield Part(is_last=True, failure=f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}")


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
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit_memory(more_bytes: int) -> None:
    """Let this process map `more_bytes` more than now, where the kernel says how much that is."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
