"""The blocking client."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from sluice_client.connection import Connection, OnRetry, Settings, Token
from sluice_client.cursors import CursorStore
from sluice_client.files import Draft
from sluice_client.loading import Loading, OnProgress, Progress
from sluice_client.protocol import exports, pages, publishing, states, tails
from sluice_client.protocol.exports import Exported, ExportFormat
from sluice_client.protocol.pages import Page
from sluice_client.protocol.publishing import Published
from sluice_client.protocol.requests import Feed, Range
from sluice_client.protocol.retry import FOREVER, RetryPolicy
from sluice_client.protocol.schema import Column, TableSchema, read_columns, read_roles, read_schema
from sluice_client.protocol.tails import TailRecord
from sluice_client.sinks.sink import Sink

RECORDS = Feed()
"""All records of the default stream."""
WAIT_S = 20
"""How long a follower lets the service hold a request that finds nothing."""


class Client:
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
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
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
        self._connection = Connection(self._settings, transport, sleep)
        self._retry, self._retry_forever = retry or RetryPolicy(), retry or FOREVER

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def pages(
        self, since: str = "", until: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = (), order: str = "asc"
    ) -> Iterator[Page]:
        """Yield the pages of a window, to its end; one longer than the service reads at once is read in parts."""
        steps = pages.walk(feed, Range(since, until), self._retry, fields=fields, order=order)
        return (pages.decode(raw) for raw in self._connection.run(steps))

    def walk(
        self, since: str = "", until: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = (), order: str = "asc"
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of a window, each once."""
        all_pages = self.pages(since, until, feed=feed, fields=fields, order=order)
        return itertools.chain.from_iterable(page.records for page in all_pages)

    def state(self, as_of: str = "", *, feed: Feed = RECORDS, fields: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the pages of a state: of each id the latest version, unless it is a tombstone.

        `as_of`: an instant, a duration or a `resume_cursor` of the same feed; by default the settled horizon. The
        `resume_cursor` of each page continues with the feed behind the state.
        """
        return (pages.decode(raw) for raw in self._connection.run(states.read(feed, as_of, self._retry, fields=fields)))

    def follow(
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
    ) -> Iterator[Page]:
        """Yield the pages of the feed without end, or until there is nothing newer.

        It begins at the cursor in `state`, else at `cursor`, else at `since`. The cursor behind a page is saved when
        the next one is asked for, so when the body of your loop has processed it.
        """
        key = feed.key(self._settings.url)
        start = Range(since=since, cursor=(state.load(key) if state is not None else "") or cursor)
        steps = pages.follow(
            *(feed, start, self._retry_forever),
            fields=fields,
            wait_s=wait_s,
            poll_s=poll_s,
            until_caught_up=until_caught_up,
        )
        for raw in self._connection.run(steps):
            yield pages.decode(raw)
            if state is not None:
                state.save(key, raw.resume_cursor)

    def follow_into(
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
        if that is a tombstone.
        """
        with Loading(feed, target, table, fields, state=state) as loading:
            key = (states.state_of(feed) if state else feed).key(self._settings.url)
            roles = self._connection.value(read_roles(feed, self._retry_forever)) if state else None
            cursor = loading.begin(key, self._columns(feed), moved=moved, rewind=rewind, roles=roles)
            steps = (states if state else pages).follow(
                *(feed, Range(since=since, cursor=cursor), self._retry_forever),
                fields=loading.fields,
                wait_s=wait_s,
                poll_s=poll_s,
                until_caught_up=until_caught_up,
            )
            for raw in self._connection.run(steps):
                for attempt in itertools.count():
                    if loading.store(raw):
                        break
                    loading.widen(self._columns(feed, attempt))
                if on_progress is not None:
                    on_progress(loading.progress)
        return loading.progress

    def tail(
        self, since: str = "", *, cursor: str = "", feed: Feed = RECORDS, fields: Sequence[str] = ()
    ) -> Iterator[TailRecord]:
        """Yield records as they become final, without end; by default those from now on."""
        return self._connection.run(
            tails.tail(feed, Range(since=since, cursor=cursor), self._retry_forever, fields=fields)
        )

    def export(
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
            for each in self._connection.run(steps, returned.append):
                draft.take(each)
            draft.complete()
        return returned[0]

    def export_records(
        self,
        since: str = "",
        until: str = "",
        *,
        cursor: str = "",
        feed: Feed = RECORDS,
        fields: Sequence[str] = (),
        on_end: Callable[[Exported], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of a whole window, each once; `on_end` gets the cursor behind them."""
        steps = exports.records(feed, Range(since, until, cursor), self._retry, fields=fields)
        batches = self._connection.run(steps, on_end)
        return (record for batch in batches for record in batch)

    def publish(self, records: Iterable[Any], *, idempotency_key: str = "", stream: str = "") -> list[Published]:
        """Send records, and return what became of each. The same ones under the same key are stored once."""
        key = idempotency_key or uuid.uuid4().hex
        return list(self._connection.run(publishing.publish(Feed(stream), records, key, self._retry)))

    def columns(self, feed: Feed = RECORDS) -> tuple[Column, ...]:
        """Return the columns of the feed's records, each object before its fields."""
        return self._connection.value(read_columns(feed, self._retry))

    def schema(self, feed: Feed = RECORDS) -> TableSchema:
        """Return the table of the feed's records: its name, its columns, and which of them have a role."""
        return self._connection.value(read_schema(feed, self._retry))

    def _columns(self, feed: Feed, attempt: int = 0) -> tuple[Column, ...]:
        return self._connection.value(read_columns(feed, self._retry_forever, attempt))
