"""Following a feed into a sink: what both clients share."""

from collections.abc import Callable, Sequence
from typing import Self

import msgspec

from sluice_client.errors import TargetError
from sluice_client.protocol.pages import RawPage
from sluice_client.protocol.requests import Feed
from sluice_client.protocol.schema import Column, Layout, UnknownColumnError
from sluice_client.sinks.sink import Sink, open_sink


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

    def __init__(self, feed: Feed, target: str | Sink, table: str, fields: Sequence[str]) -> None:
        """Open the target before anything is asked of the service.

        Raises:
            TargetError: it names no target, or cannot be opened.
        """
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

    def begin(self, key: str, columns: Sequence[Column], *, moved: bool, rewind: bool) -> str:
        """Prepare the target for these columns, and return the cursor in it, or ""."""
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
        count = self.sink.write(rows, page.resume_cursor)
        before = self.progress
        self.progress = Progress(
            before.stored + count, before.begin or page.window.since, page.window.until, page.poll_after > 0
        )
        return True
