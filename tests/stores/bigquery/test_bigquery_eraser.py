"""How other instances learn of an erasure."""

import asyncio
from typing import Any

from app.stores.bigquery.source import LABEL, LEARN_EVERY_S, BigQueryEraser
from sluice.testing.clock import FakeClock


class Table:
    """A table with labels, as the client gives it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels


class BigQueryClients:
    """A way to one table, which may be closed."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels, self.place, self.is_closed = labels, self, False

    def table_id(self, table: str) -> str:
        return table

    def client(self) -> "BigQueryClients":
        if self.is_closed:
            raise ConnectionError("no way")
        return self

    def get_table(self, _: str, **__: Any) -> Table:
        return Table(dict(self.labels))

    def update_table(self, table: Table, fields: list[str], **_: Any) -> None:
        assert fields == ["labels"]
        self.labels = table.labels


def eraser(access: BigQueryClients, clock: FakeClock | None = None) -> BigQueryEraser:
    """Return an eraser over `access`, which deletes nothing."""
    runner: Any = None
    way: Any = access
    return BigQueryEraser(runner, way, "records", clock or FakeClock(now_us=1_700_000_000_000_000))


async def test_another_instance_learns_of_an_erasure() -> None:
    """From a label of the table, within a minute, and keeps the labels that others have set."""
    access, clock = BigQueryClients({"team": "data"}), FakeClock(now_us=1_700_000_000_000_000)
    one, other = eraser(access), eraser(access, clock=clock)
    learning = asyncio.create_task(other.learn())
    await one.advance()
    assert access.labels == {"team": "data", LABEL: str(one.generation)}
    async with asyncio.timeout(60):
        while other.generation != one.generation:
            await clock.advance(LEARN_EVERY_S)
    first = one.generation
    await one.advance()
    assert one.generation > first
    learning.cancel()
