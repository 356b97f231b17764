"""Read one stream of the source without end: by exports while far behind, then by pages."""

import logging
import os
from collections.abc import Callable

from app.runtime.clock import Clock
from app.runtime.instants import MINUTE_US, SECOND_US
from app.stores.query import Position
from app.stores.source import END_OF_STREAM
from sluice.mirror.source import SourceStream
from sluice.mirror.store import Fetched, MirrorStore, MissedErasuresError
from sluice_client.async_client import AsyncClient
from sluice_client.protocol.exports import Exported

CYCLE_S = 1.0  # at least, unless more is there: a commit of a few records costs as much as one of many
WAIT_S = 5  # the source holds a request that finds nothing; so long, at most, are erasures not asked for
_FAR_US = 5 * MINUTE_US
_ERASURE_PAGES = 10  # stored in one transaction
_PIECE_BYTES = 4_000_000  # of an export, stored in one transaction
_PAUSE_S = 30.0
_log = logging.getLogger("sluice.mirror")


class Follower:
    """Brings one stream into the store; `note` is told how many rows each commit has brought."""

    def __init__(
        self, store: MirrorStore, client: AsyncClient, stream: SourceStream, clock: Clock, note: Callable[[int], None]
    ) -> None:
        self._store, self._client, self._stream, self._clock, self._note = store, client, stream, clock, note
        self._is_behind, self.has_failed = True, False
        self._ask_us = 0

    async def run(self, cycle_s: float = CYCLE_S) -> None:
        """Follow until cancelled; once it has caught up, read a page every `cycle_s` seconds at most.

        The client waits for a source that is away; anything else is logged and retried.
        """
        while True:
            begun_us = self._clock.elapsed_us()
            try:
                if self.has_failed:
                    await self._store.reload()  # the last commit may have happened
                await self.step()
                self.has_failed = False
            except MissedErasuresError as error:
                _log.critical("stream %s: the process ends, as only a new file helps: %s", self._stream.name, error)
                os._exit(2)
            except Exception as error:  # the source or the disk may have recovered by the next attempt
                _log.error("stream %s: not mirrored for now: %s", self._stream.name, error)
                self.has_failed = True
                await self._clock.sleep(_PAUSE_S)
            if not self._is_behind:
                taken_s = (self._clock.elapsed_us() - begun_us) / SECOND_US
                await self._clock.sleep(max(cycle_s - taken_s, 0))

    async def step(self) -> None:
        """Read the next page, or all that there is if that is far behind.

        An export ends with the longest window, or where the source is settled: then a page is next, which waits,
        whatever the clocks say.
        """
        position, feed = self._store.read_to(self._stream), self._stream.records
        if self._is_behind and self._clock.now_us() - position.ingest_us > _FAR_US:
            is_complete = await self._export(position)
            moved_us = self._store.read_to(self._stream).ingest_us - position.ingest_us
            self._is_behind = moved_us > _FAR_US or not is_complete
            return
        page = await self._client.arrow_page(feed.cursor(position), feed=feed.feed, wait_s=WAIT_S)
        await self._commit([page.content], feed.position(page.resume_cursor))
        self._is_behind = page.has_more

    async def _export(self, position: Position) -> bool:
        """Store an export piece by piece; return whether it was complete. The next one continues behind the last."""
        feed, schema, pieces, ended = self._stream.records, b"", list[bytes](), list[Exported]()
        messages = self._client.arrow_messages(feed.cursor(position), feed=feed.feed, on_end=ended.append)
        async for message in messages:
            if not schema:
                schema = message
                continue
            pieces.append(schema + message + END_OF_STREAM)
            if sum(map(len, pieces)) >= _PIECE_BYTES:
                await self._commit(pieces, None)
                pieces = []
        if ended:
            await self._commit(pieces, feed.position(ended[0].resume_cursor))
        elif pieces:
            await self._commit(pieces, None)
        return bool(ended)

    async def _commit(self, rows: list[bytes], read_to: Position | None) -> None:
        """Ask for erasures, in the middle of an export only now and then, and store them with the rows."""
        erasures, erased_to = list[bytes](), None
        if (feed := self._stream.erasures) is not None and (read_to or self._clock.elapsed_us() >= self._ask_us):
            erased_to, has_more = self._store.erased_to(self._stream), True
            while has_more:
                page = await self._client.arrow_page(feed.cursor(erased_to), feed=feed.feed)
                erasures.append(page.content)
                erased_to, has_more = feed.position(page.resume_cursor), page.has_more
                if has_more and len(erasures) == _ERASURE_PAGES:
                    fetched = Fetched(rows=[], read_to=None, erasures=erasures, erased_to=erased_to)
                    await self._store.commit(self._stream, fetched)
                    erasures = []
            self._ask_us = self._clock.elapsed_us() + WAIT_S * SECOND_US
        fetched = Fetched(rows=rows, read_to=read_to, erasures=erasures, erased_to=erased_to)
        self._note(await self._store.commit(self._stream, fetched))
