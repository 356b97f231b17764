"""What the endpoints of one stream are made of."""

import asyncio

import msgspec

from app.auth.read_slots import ReadSlots
from app.query.answer.conditional import CachedResponder
from app.query.answer.export import Exports
from app.query.read.feed import Feed
from app.schema.table import Table
from app.stores.backend import Eraser
from app.stores.query import Condition


class StreamParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoints of one stream are made of; its paths begin with `root`, its rejects are those of `only`."""

    root: str
    feed: Feed
    reject_feed: Feed
    only: tuple[Condition, ...]
    exports: Exports
    responder: CachedResponder
    tail_slots: ReadSlots
    tail_turn: asyncio.Semaphore
    eraser: Eraser

    @property
    def table(self) -> Table:
        """The table of the stream's records."""
        return self.feed.table
