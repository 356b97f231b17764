"""What the endpoints of a stream are made of."""

import asyncio

import msgspec

from app.auth.read_slots import ReadSlots
from app.query.answer.cache import AnswerCache
from app.query.answer.export import Exports
from app.query.read.feed import Feed
from app.query.read.reads import Reads
from app.query.readers import Readers
from app.query.request.scan import QueryableTable
from app.stores.backend import Eraser


class SharedParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoints of all tables share."""

    cache: AnswerCache
    reads: Reads
    eraser: Eraser
    readers: Readers


class TableParts(SharedParts, frozen=True, kw_only=True):
    """What the endpoints of one table are made of; its rows are read at `path`."""

    path: str
    feed: Feed
    subject: QueryableTable
    exports: Exports
    tail_slots: ReadSlots
    tail_turn: asyncio.Semaphore


class StreamParts(msgspec.Struct, frozen=True):
    """The tables of one stream."""

    records: TableParts
    rejects: TableParts
    erasures: TableParts
