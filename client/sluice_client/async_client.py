"""The asynchronous client: the methods of the blocking one, to await or to iterate over."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

import httpx

from sluice_client.connection import AsyncConnection, OnRetry, Settings, Token
from sluice_client.cursors import CursorStore
from sluice_client.files import Draft
from sluice_client.loading import Loading, OnProgress, Progress
from sluice_client.protocol import exports, pages, publishing, states, tails
from sluice_client.protocol.arrow import Messages
from sluice_client.protocol.effects import T
from sluice_client.protocol.exports import Exported, ExportFormat
from sluice_client.protocol.pages import ArrowPage, Page
from sluice_client.protocol.publishing import Published
from sluice_client.protocol.requests import Feed, Range
from sluice_client.protocol.retry import FOREVER, RetryPolicy
from sluice_client.protocol.schema import Column, read_columns, read_roles
from sluice_client.protocol.tails import TailRecord
from sluice_client.sinks.sink import Sink

RECORDS = Feed()
"""All records of the default stream."""
WAIT_S = 20
"""How long a follower lets the service hold a request that finds nothing."""


class AsyncClient:
    """Reads and sends records. Every method asks again where that helps, and waits as long as the service says.

    Methods raise a `SluiceError` (`sluice_client.errors`) where asking again does not help.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        name: str = "",
        retry: RetryPolicy | None = None,
        on_retry: OnRetry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Name the service; no connection is opened yet.

        Args:
            url: of the service, without `/v1`.
            token: an API key or a Google ID token, or a function that returns one that is valid now.
            name: of this reader, by which the service tells how far behind it is (up to 64 of A-Z, a-z, 0-9, `._-`).
            retry: how long to ask again. By default a follower and a tail do so without end, and the others for 300 s.
            on_retry: called with each pause after a failure, in seconds, and its reason.
            transport: how to reach the service, for proxies and tests.
            sleep: how to pause.
        """
        self._settings = Settings(url.rstrip("/"), token, on_retry, name)
        self._connection = AsyncConnection(self._settings, transport, sleep)
        self._retry, self._retry_forever = retry or RetryPolicy(), retry or FOREVER

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def pages(
        self, since: str = "", until: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = (), order: str = "asc"
    ) -> AsyncIterator[Page]:
        """Yield the pages of a window, to its end; one longer than the service reads at once is read in parts."""
        steps = pages.walk(feed, Range(since, until), self._retry, fields=fields, order=order)
        async for raw in self._connection.run(steps):
            yield pages.decode(raw)

    async def walk(
        self, since: str = "", until: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = (), order: str = "asc"
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the records of a window, each once."""
        async for page in self.pages(since, until, feed=feed, fields=fields, order=order):
            for record in page.records:
                yield record

    async def state(self, as_of: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = ()) -> AsyncIterator[Page]:
        """Yield the pages of a state: of each id the latest version, unless it is a tombstone.

        `as_of`: an instant, a duration or a `resume_cursor` of the same feed; by default the settled horizon. The
        `resume_cursor` of each page continues with the feed behind the state.
        """
        async for raw in self._connection.run(states.read(feed, as_of, self._retry, fields=fields)):
            yield pages.decode(raw)

    async def follow(
        self,
        since: str = "",
        *,
        cursor: str = "",
        state: CursorStore | None = None,
        feed: Feed = RECORDS,
        fields: Sequence[str] = (),
        wait_s: int = WAIT_S,
        poll_s: float = 0.0,
        until_caught_up: bool = False,
    ) -> AsyncIterator[Page]:
        """Yield the pages of the feed without end, or until there is nothing newer.

        It begins at the cursor in `state`, else at `cursor`, else at `since`. The cursor behind a page is saved when
        the next one is asked for, so when the body of your loop has processed it.
        """
        key = feed.key(self._settings.url)
        start = Range(since=since, cursor=(await _in_thread(state.load, key) if state is not None else "") or cursor)
        steps = pages.follow(
            *(feed, start, self._retry_forever),
            fields=fields,
            wait_s=wait_s,
            poll_s=poll_s,
            until_caught_up=until_caught_up,
        )
        async for raw in self._connection.run(steps):
            yield pages.decode(raw)
            if state is not None:
                await _in_thread(state.save, key, raw.resume_cursor)

    async def follow_into(
        self,
        target: str | Sink,
        *,
        since: str = "",
        feed: Feed = RECORDS,
        table: str = "",
        fields: Sequence[str] = (),
        wait_s: int = WAIT_S,
        poll_s: float = 0.0,
        until_caught_up: bool = False,
        moved: bool = False,
        rewind: bool = False,
        state: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Progress:
        """Store the feed in a target, each record once, without end or until there is nothing newer.

        Rows and cursor are stored together, so this may be killed and started again at any moment. `target`:
        "orders.duckdb", "orders.sqlite", "postgresql://…", "folder/" of Parquet, or a sink. `since` counts only where
        the target has no cursor yet, or with `rewind`. With `state` the table has the latest version of each id, also
        if that is a tombstone. The target is written to in threads, one page after the other.
        """
        with Loading(feed, target, table, fields, state=state) as loading:
            key = (states.state_of(feed) if state else feed).key(self._settings.url)
            columns = await self._columns(feed)
            roles = await self._connection.value(read_roles(feed, self._retry_forever)) if state else None
            cursor = await _in_thread(loading.begin, key, columns, moved=moved, rewind=rewind, roles=roles)
            steps = (states if state else pages).follow(
                *(feed, Range(since=since, cursor=cursor), self._retry_forever),
                fields=loading.fields,
                wait_s=wait_s,
                poll_s=poll_s,
                until_caught_up=until_caught_up,
            )
            async for raw in self._connection.run(steps):
                for attempt in itertools.count():
                    if await _in_thread(loading.store, raw):
                        break
                    await _in_thread(loading.widen, await self._columns(feed, attempt))
                if on_progress is not None:
                    on_progress(loading.progress)
        return loading.progress

    async def arrow_page(self, cursor: str, *, feed: Feed = RECORDS, wait_s: int = 0) -> ArrowPage:
        """Return the page behind a cursor as Arrow; ask again without end while the service is away."""
        steps = pages.arrow(feed, Range(cursor=cursor), self._retry_forever, wait_s=wait_s)
        return await self._connection.value(steps)

    async def arrow_messages(
        self, cursor: str, *, feed: Feed = RECORDS, on_end: Callable[[Exported], None]
    ) -> AsyncIterator[bytes]:
        """Yield the messages of everything behind a cursor as Arrow, the schema first.

        `on_end` is called if that is complete. Where it breaks off, this ends without it, after a pause.
        """
        steps, messages = exports.download(feed, Range(cursor=cursor), "arrow", self._retry_forever), Messages()
        begun = False
        async with aclosing(self._connection.run(steps, on_end)) as parts:
            async for part in parts:
                if isinstance(part, exports.Begin):
                    if begun:
                        return
                    begun = True
                    continue
                for message in messages.feed(part):
                    yield message

    def tail(
        self, since: str = "", *, cursor: str = "", feed: Feed = RECORDS, fields: Sequence[str] = ()
    ) -> AsyncIterator[TailRecord]:
        """Yield records as they become final, without end; by default those from now on."""
        return self._connection.run(
            tails.tail(feed, Range(since=since, cursor=cursor), self._retry_forever, fields=fields)
        )

    async def export(
        self,
        path: str | Path,
        since: str = "",
        until: str = "",
        *,
        cursor: str = "",
        file_format: ExportFormat = "ndjson",
        feed: Feed = RECORDS,
        fields: Sequence[str] = (),
    ) -> Exported:
        """Write a whole window to a file, which appears when it is complete."""
        steps = exports.download(feed, Range(since, until, cursor), file_format, self._retry, fields=fields)
        returned = list[Exported]()
        with Draft(Path(path)) as draft:
            async for each in self._connection.run(steps, returned.append):
                draft.take(each)
            draft.complete()
        return returned[0]

    async def export_records(
        self,
        since: str = "",
        until: str = "",
        *,
        cursor: str = "",
        feed: Feed = RECORDS,
        fields: Sequence[str] = (),
        on_end: Callable[[Exported], None] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the records of a whole window, each once; `on_end` gets the cursor behind them."""
        steps = exports.records(feed, Range(since, until, cursor), self._retry, fields=fields)
        async for batch in self._connection.run(steps, on_end):
            for record in batch:
                yield record

    async def publish(self, records: Iterable[Any], *, idempotency_key: str = "", stream: str = "") -> list[Published]:
        """Send records, and return what became of each. The same ones under the same key are stored once."""
        key = idempotency_key or uuid.uuid4().hex
        steps = publishing.publish(Feed(stream), records, key, self._retry)
        return [each async for each in self._connection.run(steps)]

    async def columns(self, feed: Feed = RECORDS) -> tuple[Column, ...]:
        """Return the columns of the feed's records, each object before its fields."""
        return await self._connection.value(read_columns(feed, self._retry))

    async def _columns(self, feed: Feed, attempt: int = 0) -> tuple[Column, ...]:
        return await self._connection.value(read_columns(feed, self._retry_forever, attempt))


async def _in_thread(action: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Run a blocking action in a thread. A cancellation waits for its end: what it uses is closed after it."""
    running = asyncio.ensure_future(asyncio.to_thread(action, *arguments, **options))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
