"""QueryRunners that answer as a test tells them, in the place of a service's store."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import pytest

from app.runtime.instants import HOUR_US
from app.stores.backend import Backend, open_backend
from app.stores.query import ArrowQuery, Query
from app.stores.source import Answer, LearnHorizon, Plan, QueryRunner, ReadProfile, Row, streamed_bytes


class ScriptedRunner:
    """Gives no rows, or those of a test; with `error`, fails."""

    profile = ReadProfile(partition_us=HOUR_US, first_slice_us=HOUR_US, first_look_up_us=HOUR_US, materializes=True)

    def __init__(
        self, *rows: Row, bytes_processed: int | None = None, error: BaseException | None = None, now_us: int = 0
    ) -> None:
        self.answer, self.error, self.now_us = Answer([*rows], bytes_processed), error, now_us
        self.asked: list[Query] = []
        self.learn_horizon: LearnHorizon | None = self._learn
        self.pieces: tuple[bytes, ...] = (b"schema", b"rows", b"end")

    async def rows(self, query: Query) -> Answer:
        """Answer, or fail."""
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        return self.answer

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield pieces, or fail after the first."""
        self.asked.append(query)
        if self.answer.bytes_processed and (asked := streamed_bytes.get()) is not None:
            asked.append(self.answer.bytes_processed)
        for piece in self.pieces[:1]:
            yield piece
        if self.error is not None:
            raise self.error
        for piece in self.pieces[1:]:
            yield piece

    def horizon_us(self, table: str) -> int:
        """Return the time of the fake clock when a test begins."""
        return self.now_us or 1_700_000_000_000_000

    async def _learn(self) -> int:
        """Have it cost as much as a query."""
        return self.answer.bytes_processed or 0

    def version(self, table: str) -> int | None:
        """Nobody can know."""
        return None

    async def explain(self, query: Query) -> Plan:
        """Return what a query reads."""
        return Plan("", {}, self.answer.bytes_processed)


class MeteredRunner:
    """A store's own runner that also says how many bytes were read; with `error`, it fails."""

    def __init__(self, runner: QueryRunner, bytes_processed: int) -> None:
        self.runner, self.bytes_processed = runner, bytes_processed
        self.error: BaseException | None = None

    def __getattr__(self, name: str) -> Any:
        """Be as the runner in everything else."""
        return getattr(self.runner, name)

    async def rows(self, query: Query) -> Answer:
        """Answer as the store does, or fail."""
        if self.error is not None:
            raise self.error
        return msgspec.structs.replace(await self.runner.rows(query), bytes_processed=self.bytes_processed)


def over(monkeypatch: pytest.MonkeyPatch, runner: ScriptedRunner) -> None:
    """Let services that are made from now on read through `runner`, and write as they do."""
    _replace(monkeypatch, lambda backend: msgspec.structs.replace(backend, runner=runner))


def metered(monkeypatch: pytest.MonkeyPatch, bytes_processed: int, connections: dict[str, int]) -> list[MeteredRunner]:
    """Let services say what a query reads and which connections are open; return the runners, as they are made."""
    made: list[MeteredRunner] = []

    def meter(backend: Backend) -> Backend:
        made.append(MeteredRunner(backend.runner, bytes_processed))
        return msgspec.structs.replace(backend, runner=made[-1], connections=lambda: connections)

    _replace(monkeypatch, meter)
    return made


def _replace(monkeypatch: pytest.MonkeyPatch, change: Callable[[Backend], Backend]) -> None:
    monkeypatch.setattr("app.main.open_backend", lambda *arguments: change(open_backend(*arguments)))
