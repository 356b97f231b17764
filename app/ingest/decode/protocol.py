"""What a service and its worker process tell each other: frames over two pipes, each a length and MessagePack. Pure."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RefusedRow
from app.ingest.decode.rejects import Reject
from app.ingest.decode.rows import RecordId
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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A message to read, whose data follow as a frame of their own.

    With `refused`, it was read before, and the rejects of these rows are asked for; `allowed` may be single.
    """

    stream: str
    key: str
    delivery: str
    replay_of: str
    may_be_personal: bool
    content_type: str
    content_encoding: str
    attributes: Mapping[str, str]
    subscription_name: str | None
    message_id: str | None
    publish_time: datetime | None
    ordering_key: str | None
    trace_id: str | None
    refused: tuple[RefusedRow, ...] = ()
    allowed: int = 0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the result; the last one says so, and whether the worker ran out of memory or failed otherwise."""

    encoded: list[bytes] = []
    ids: list[RecordId] = []
    indexes: list[int] = []
    rejects: list[Reject] = []
    undeclared: list[tuple[str, Outcome, int]] = []
    is_last: bool = False
    lacks_memory: bool = False
    failure: str = ""


_NAMES = [name for name in Job.__struct_fields__ if name in Message.__struct_fields__]


def job_of(stream: str, message: Message, refused: Sequence[RefusedRow] = (), allowed: int = 0) -> Job:
    """Return the job of reading `message`."""
    own = {name: getattr(message, name) for name in _NAMES}
    return Job(stream=stream, refused=tuple(refused), allowed=allowed, **own)


def message_of(job: Job, data: bytes) -> Message:
    """Return the message of a job, without its spans."""
    own: dict[str, Any] = {name: getattr(job, name) for name in _NAMES}
    return Message(data=data, **own)


def parts_of(decoded: Decoded) -> Iterator[Part]:
    """Yield the parts of a result, of about _FRAME_BYTES each."""
    rows, start, size = decoded.rows, 0, 0
    for position, row in enumerate(rows.encoded):
        size += len(row)
        if size >= _FRAME_BYTES:
            yield _rows(decoded, start, position + 1)
            start, size = position + 1, 0
    yield _rows(decoded, start, len(rows))
    some: list[Reject] = []
    size = 0
    for each in decoded.rejects:
        some.append(each)
        size += len(each.raw)
        if size >= _FRAME_BYTES:
            yield Part(rejects=some)
            some, size = [], 0
    undeclared = [(path, outcome, count) for (path, outcome), count in decoded.undeclared.items()]
    yield Part(rejects=some, undeclared=undeclared, is_last=True)


def _rows(decoded: Decoded, start: int, stop: int) -> Part:
    rows = decoded.rows
    return Part(
        encoded=list(rows.encoded[start:stop]), ids=list(rows.ids[start:stop]), indexes=list(rows.indexes[start:stop])
    )
