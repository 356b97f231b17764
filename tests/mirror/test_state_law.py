"""The law of a state over a mirror: everything happens at its source."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.schema.table import Table
from app.stores.duckdb.file import EmbeddedLimits
from app.stores.erasures import erasures_table
from app.stores.query import Position
from sluice.mirror.source import SourceFeed, source_stream
from sluice.mirror.store import Fetched, MirrorStore
from tests.contract.service import Client, Service
from tests.contract.stores import REJECTS, EmbeddedEngine, Engine, Store
from tests.contract.test_state_laws import Flight, Stateful, hold


class Mirrored(Stateful):
    """What is read is read from a mirror, which has caught up."""

    def __init__(self, engine: Engine, store: Store, table: Table) -> None:
        super().__init__(engine, store, table)
        self.stream = source_stream(table, is_named=False)
        tables = (table, REJECTS, erasures_table([table], 30))
        self.mirror = MirrorStore.open(":memory:", tables, store.clock, EmbeddedLimits(lookback_us=0))
        assert self.mirror.begin("source", [self.stream], 30)  # as long as a window may be
        service = Service(engine, store, table, runner=self.mirror)
        service.principals |= self.service.principals
        self.source, self.client = self.client, CaughtUp(self, service.client())

    def teardown(self) -> None:
        self.mirror.close()

    def catch_up(self) -> None:
        """Read and store what the source has behind the positions."""
        assert self.stream.erasures is not None
        rows, read_to = self._page(self.stream.records, self.mirror.read_to(self.stream))
        erasures, erased_to = self._page(self.stream.erasures, self.mirror.erased_to(self.stream))
        fetched = Fetched(rows=[rows], read_to=read_to, erasures=[erasures], erased_to=erased_to)
        self.engine.loop.run(self.mirror.commit(self.stream, fetched))

    def _page(self, feed: SourceFeed, position: Position) -> tuple[bytes, Position]:
        asked = {**feed.feed.filters, "cursor": feed.cursor(position), "limit": "1000", "format": "arrow"}
        found = self.source.get(feed.feed.path, params=asked)
        assert "sluice-next-cursor" not in found.headers, found.text
        return found.content, feed.position(found.headers["sluice-resume-cursor"])


class CaughtUp(Client):
    """Reads from the mirror, and writes to the source."""

    def __init__(self, machine: Mirrored, mirror: Client) -> None:
        self._machine, self._mirror = machine, mirror

    def get(self, url: str, **asked: Any) -> httpx.Response:
        self._machine.catch_up()
        return self._mirror.get(url, **asked)

    def request(self, method: str, url: str, **asked: Any) -> httpx.Response:
        return self._machine.source.request(method, url, **asked)


@pytest.mark.slow
def test_a_state_is_the_fold_of_the_feed_of_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is the state of its source, whatever happens there between two pages."""
    engine = EmbeddedEngine(tmp_path)
    engine.name = "mirror"
    hold(engine, Flight, monkeypatch, Mirrored)
    engine.loop.close()
