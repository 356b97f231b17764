"""Open a mirror: the embedded store of its file, and what fills it from SLUICE_MIRROR_URL."""

import asyncio
import itertools
import logging
import sys
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import to_text
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import REJECTS, Table
from app.settings.fields import MIB
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.duckdb.eraser import Retention
from app.stores.duckdb.file import name_of_kept
from app.stores.duckdb.setup import limits_of
from app.stores.erasures import ErasedRecord, erasures_table
from app.stores.query import Deletion
from app.stores.sink import StoreError
from sluice.mirror.follower import CYCLE_S, Follower
from sluice.mirror.source import SourceStream, check_source, source_stream, token_of
from sluice.mirror.store import MirrorStore
from sluice_client.async_client import AsyncClient
from sluice_client.loading import Progress
from sluice_client.progress import ProgressLine

_CHECK_S = 5.0  # a start waits no longer for the source
_CHECK_AGAIN_S = 30.0
_CHECKS_AN_HOUR = 120
_REQUESTS_A_SECOND = 8  # of all streams that have been caught up; a source allows ten by default
_MEMORY_BYTES = 128 * MIB  # of DuckDB: the process stays below 400 MiB with ten million records
_log = logging.getLogger("sluice.mirror")


class MirrorEraser:
    """Erases nothing: the source tells what to erase."""

    def __init__(self, store: MirrorStore) -> None:
        self._store = store

    @property
    def generation(self) -> int:
        """The time of the last erasure that was applied."""
        return self._store.generation

    async def delete(self, query: Deletion) -> int:
        """Refuse. Raises ProblemError."""
        raise _refusal()

    async def advance(self, erased: ErasedRecord) -> None:
        """Refuse. Raises ProblemError."""
        raise _refusal()


def _refusal() -> ProblemError:
    return ProblemError("forbidden", "this service is a mirror: erase the record at its source, and it goes here, too")


class Mirror:
    """Fills a store from its source, and knows how far it is behind."""

    def __init__(self, store: MirrorStore, url: str, token: str, streams: Sequence[SourceStream], clock: Clock) -> None:
        self._store, self._url, self._token, self._streams, self._clock = store, url, token_of(token), streams, clock
        self._line = ProgressLine(is_quiet=not sys.stderr.isatty())
        self._begin_us, self._rows, self._is_shown = self._read_to_us(), 0, True

    def check(self) -> bool:
        """Compare the declarations with the source's; return False if it does not answer. Blocks, raises StoreError."""
        try:
            return check_source(self._url, self._token, self._streams)
        except (OSError, ValueError) as error:
            raise StoreError(f"SLUICE_MIRROR_TOKEN cannot be used: {error}") from error

    def lag_s(self) -> float:
        """Return how many seconds the stream that is furthest behind is behind."""
        return max(self._clock.now_us() - self._read_to_us(), 0) / MICROSECONDS

    async def run(self, *, is_checked: bool) -> None:
        """Follow all streams, once the source is known to fit, until cancelled."""
        while not is_checked:
            is_checked = await self._check_later()
        client = AsyncClient(self._url, token=self._token, on_retry=_tell)
        cycle_s = max(CYCLE_S, 2 * len(self._streams) / _REQUESTS_A_SECOND)
        followers = [Follower(self._store, client, each, self._clock, self._note) for each in self._streams]
        try:
            await asyncio.gather(self._keep_checking(followers), *(each.run(cycle_s) for each in followers))
        finally:
            await client.close()

    async def _check_later(self) -> bool:
        await self._clock.sleep(_CHECK_AGAIN_S)
        try:
            return await run_in_daemon_thread(self.check, "mirror-check")
        except Exception as error:  # the source may have changed by the next attempt
            _log.critical("%s", error)
            return False

    async def _keep_checking(self, followers: Sequence[Follower]) -> None:
        """Check again every hour, and while a follower fails: the source, or the key there, may have changed."""
        for number in itertools.count(1):
            if number % _CHECKS_AN_HOUR and not any(each.has_failed for each in followers):
                await self._clock.sleep(_CHECK_AGAIN_S)
            else:
                await self._check_later()

    def _note(self, rows: int) -> None:
        """Show the progress until it has caught up."""
        self._rows += rows
        if self._is_shown:
            self._is_shown = self.lag_s() > 2 * _CHECK_AGAIN_S
            begin, up_to = to_text(self._begin_us), to_text(self._read_to_us())
            self._line.show(Progress(self._rows, begin, up_to, not self._is_shown))
            if not self._is_shown:
                self._line.end()
                _log.info("the mirror has caught up with %s: %d rows", self._url, self._rows)

    def _read_to_us(self) -> int:
        return min(self._store.horizon_us(each.name) for each in self._streams)


def _tell(pause_s: float, reason: str) -> None:
    _log.warning("the source is asked again in %.1f s: %s", pause_s, reason)


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the file of `settings`, with `tables`, and compare these with the source's.

    Raises:
        StoreError: the file cannot be opened, or is another source's; or the source differs, or refuses.
    """
    url, path = settings.store.mirror_url.rstrip("/"), settings.store.data_path
    default_days = settings.store.retention_days
    records = [
        msgspec.structs.replace(table, retention_days=table.kept_days(default_days))
        for table in tables
        if table.name != REJECTS
    ]
    streams = [source_stream(table, is_named=bool(settings.store.streams)) for table in records]
    erasures = erasures_table(records)
    tables = (*tables, erasures)
    limits = msgspec.structs.replace(
        limits_of(settings),
        lookback_us=0,  # the feed of the source has no copies
        memory_bytes=settings.store.embedded_memory_bytes or _MEMORY_BYTES,
        may_leave_null=False,
    )
    store = MirrorStore.open(path, tables, clock, limits)
    days = erasures.retention_days or default_days
    if not store.begin(url, streams, days):
        store.close()
        kept = name_of_kept(path)
        for each in ("", ".wal"):
            if Path(path + each).exists():
                Path(path + each).rename(kept + each)
        _log.warning("%s was away for longer than erasures are kept, so it is filled again; remove %s", path, kept)
        store = MirrorStore.open(path, tables, clock, limits)
        store.begin(url, streams, days)
    mirror = Mirror(store, url, settings.store.mirror_token, streams, clock)
    is_checked = _is_checked(mirror)
    if not is_checked:
        _log.warning("%s does not answer: reads are of %s, as of %.0f s ago", url, path, mirror.lag_s())

    def upkeep() -> list[Coroutine[Any, Any, None]]:
        retention = Retention(store, tables, clock, default_days)
        return [retention.run(), mirror.run(is_checked=is_checked)]

    return Backend(
        name=f"mirror:{path}",
        system="duckdb",
        appender=cache(store.appender),
        runner=store,
        eraser=MirrorEraser(store),
        upkeep=upkeep,
        close=partial(run_in_daemon_thread, store.close, "duckdb-close"),
        connections=dict,
        obstacle=store.obstacle,
        lag_s=mirror.lag_s,
    )


def _is_checked(mirror: Mirror) -> bool:
    """Return the result of the check; False if it takes long, as with a source that hangs. Raises StoreError."""
    try:
        return ThreadPoolExecutor(1, thread_name_prefix="mirror-check").submit(mirror.check).result(_CHECK_S)
    except TimeoutError:
        return False
