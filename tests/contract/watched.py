"""A runner that stands before another one: it knows what was asked, and a test may let it do more."""

from collections.abc import AsyncGenerator

from app.stores.query import ArrowQuery, Query, Selection
from app.stores.source import Answer, LearnHorizon, Plan, QueryRunner


class Watched:
    """Passes everything on; `queries` are those whose rows were asked for, in their order."""

    def __init__(self, inner: QueryRunner) -> None:
        self._inner, self.queries = inner, list[Query]()
        self.profile = inner.profile
        self.learn_horizon: LearnHorizon | None = inner.learn_horizon

    async def rows(self, query: Query) -> Answer:
        self.queries.append(query)
        return await self._inner.rows(query)

    def horizon_us(self, table: str) -> int:
        return self._inner.horizon_us(table)

    def version(self, table: str) -> int | None:
        return self._inner.version(table)

    async def explain(self, query: Query) -> Plan:
        return await self._inner.explain(query)

    def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        return self._inner.arrow(query)


def bounds(query: Query) -> tuple[int, int]:
    """Return the ends of the slice that `query` reads."""
    assert isinstance(query, Selection)
    return query.within.from_us, query.within.to_us
