"""Following a feed into a sink: what both clients share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import msgspec

from sluice_client.errors import TargetError
from sluice_client.protocol.pages import RawPage
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.schema import INGESTED, Column, Layout, Roles, UnknownColumnError
from sluice_client.protocol.states import StatePage
from sluice_client.sinks.sink import Sink, open_sink
from sluice_client.sinks.sql_sink import SqlSink


class Progress(msgspec.Struct, frozen=True):
    """How far a follower is: after each page, and at its end.

    `begin` is the start of the first window of this run, and `up_to` the end of the last one that was read.
    """

    stored: int = 0
    begin: str = ""
    up_to: str = ""
    is_caught_up: bool = False


OnProgress = Callable[[Progress], None]


class Loading:
    """One run of a follower: its sink, the layout of its rows, and its progress."""

    def __init__(
        self, feed: Feed, target: str | Sink, table: str, fields: Sequence[str], *, state: bool = False
    ) -> None:
        """Open the target before anything is asked of the service.

        Raises:
            TargetError: it names no target, or cannot be opened.
        """
        if state and (feed.filters or feed.rejects):
            # The feed does not show a filter what has left it.
            raise ValueError("a table of the state has all records of a stream: omit the filters and rejects")
        self.sink = open_sink(target, table or feed.table) if isinstance(target, str) else target
        self.progress = Progress()
        self._fields = fields
        self._layout = Layout(())

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Store what the sink holds back, unless it failed, and close it."""
        try:
            if kind is None or not issubclass(kind, TargetError):
                self.sink.flush()
        finally:
            self.sink.close()

    def begin(
        self,
        key: str,
        columns: Sequence[Column],
        *,
        moved: bool,
        rewind: bool,
        roles: Mapping[str, str | None] | None = None,
    ) -> str:
        """Prepare the target for these columns, and return the cursor in it, or "". With `roles` it keeps a state.

        Raises:
            TargetError: as `Sink.open`; or records have no id, or the target cannot replace rows.
        """
        if roles is not None:
            if (record_id := roles["id"]) is None:
                raise TargetError("a state needs records with an id")
            if not isinstance(self.sink, SqlSink):
                raise TargetError("a state needs a database: rows of other targets cannot be replaced")
            self.sink.keep_latest(Roles(record_id, roles["sequence"]))
            self._fields = (*self._fields, *filter(None, roles.values()), INGESTED) if self._fields else ()
        self._layout = Layout(columns, self._fields)
        return self.sink.open(key, self._layout.columns, moved=moved, rewind=rewind)

    @property
    def fields(self) -> tuple[str, ...]:
        """What to ask for; empty for all."""
        return self._layout.fields

    def widen(self, columns: Sequence[Column]) -> None:
        """Use the columns as they are now."""
        self._layout = Layout(columns, self._fields)
        self.sink.widen(self._layout.columns)

    def store(self, page: RawPage) -> bool:
        """Store a page and its cursor; return False, with no effect, if its records have a column that is new."""
        try:
            rows = self._layout.rows(page.records)
        except UnknownColumnError:
            return False
        if isinstance(page, StatePage) and isinstance(self.sink, SqlSink):
            count = self.sink.write(rows, page.resume_cursor, page.erased)
        else:
            count = self.sink.write(rows, page.resume_cursor)
        before = self.progress
        self.progress = Progress(
            before.stored + count, before.begin or page.window.since, page.window.until, page.poll_after > 0
        )
        return True
