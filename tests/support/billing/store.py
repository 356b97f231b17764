"""A table of any rate and age that takes no room: its rows are made when a query asks for them, and it is billed."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import duckdb
import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeRange, from_epoch_us
from app.schema.table import Table
from app.stores.bigquery.jobs import CHEAP_FACTOR, Trust, is_short
from app.stores.bigquery.source import look_up
from app.stores.duckdb.source import Queries
from app.stores.query import (
    IS_COPY,
    ArrowQuery,
    Count,
    LookUp,
    Purpose,
    Query,
    Rows,
    Statistics,
    poll_grid_us,
)
from app.stores.source import Answer, LearnHorizon, Plan, QueryTooExpensiveError, ReadProfile, Row
from app.stores.sql.statement import Statement, render
from tests.support.billing.bill import LEAST_BYTES, Contents, Layout, billed_bytes, upper_bound

SETTLE_S = 30.0
_LAG_US = 2 * SECOND_US  # of the horizon that watermarks give, with the second that BigQuery takes to answer
_PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
_PAYLOAD = msgspec.Raw(b'{"text":"' + b"x" * 919 + b'"}')
COLUMN_BYTES = {
    "id": 15.0,
    "timestamp": 8.0,
    "source": 2.0,
    "data": 930.0,
    "subscription_name": 50.0,
    "message_id": 19.0,
    "publish_time": 8.0,
    "attributes": 4.0,
    "ordering_key": 0.0,
    "message_index": 8.0,
    "delivery_key": 38.0,
    "ingest_time": 8.0,
    "trace_id": 0.0,
}
"""Of a row of the default type with 1 KB: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types."""


_MADE = {
    "id": "CONCAT('order-', CAST(us AS STRING))",
    "timestamp": "make_timestamp(1767225600000000)",
    "source": "''",
    "data": f"'{bytes(_PAYLOAD).decode()}'",
    "subscription_name": "'projects/my-project/subscriptions/events-push'",
    "message_id": "'12345678901234567'",
    "publish_time": "make_timestamp(1767225600000000)",
    "attributes": "'{}'",
    "ordering_key": "CAST(NULL AS STRING)",
    "message_index": "0",
    "delivery_key": "CONCAT('12345678901234567/', CAST(us AS STRING), '/0')",
    "ingest_time": "make_timestamp(us)",
    "trace_id": "CAST(NULL AS STRING)",
}
"""Each column of the row stamped `us`, like that of `BilledStore._row`, in SQL."""


class BilledStore:
    """Runs pages and look-ups by id over a table of the default type; `billed` is what all of them cost, in bytes."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        layout: Layout,
        *,
        rows_per_s: int,
        age_s: float,
        page_limit: int,
        look_up_limit: int,
        poll_s: float = 5.0,
    ) -> None:
        begins_us = clock.now_us() - round(age_s * SECOND_US)
        self.contents = Contents(rows_per_s=rows_per_s, column_bytes=COLUMN_BYTES, begins_us=begins_us)
        self.billed = self.queries = 0
        self._table, self._clock, self._layout = table, clock, layout
        self.profile = ReadProfile(
            partition_us=HOUR_US,
            first_slice_us=MINUTE_US,
            first_look_up_us=DAY_US if layout.id_index else HOUR_US,
            poll_s=poll_s,
            materializes=True,
        )
        self._limits: dict[Purpose, int] = {"page": page_limit, "look_up": look_up_limit}
        self._trust = Trust(self._limits.__getitem__, clock)
        self._step_us = SECOND_US // rows_per_s
        self.learn_horizon: LearnHorizon | None = self._learn
        self._making = Queries(duckdb.connect())
        self._learned_us: int | None = None
        self._settled_us = 0

    def horizon_us(self, table: str) -> int:
        """Return now less the settle time, or what the watermarks said."""
        return max(self._clock.now_us() - round(SETTLE_S * SECOND_US), self._settled_us)

    async def _learn(self) -> int:
        """Read the watermarks, if that is due: a query of the least that BigQuery bills."""
        elapsed_us = self._clock.elapsed_us()
        if self._learned_us is not None and elapsed_us - self._learned_us < poll_grid_us(
            round(self.profile.poll_s * SECOND_US)
        ):
            return 0
        self._learned_us, self._settled_us = elapsed_us, self._clock.now_us() - _LAG_US
        self._pay(LEAST_BYTES)
        return LEAST_BYTES

    def version(self, table: str) -> int | None:
        """Return None: the table does not say when it has new rows."""
        return None

    async def explain(self, query: Query) -> Plan:
        """Return the statement."""
        return render(query).plan()

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield the rows of an export, none of which is a copy."""
        if not isinstance(query, Rows):
            raise TypeError(query)
        self._pay_for(query)
        low_us, high_us = self._bounds(query)
        columns = ", ".join(f"{_MADE[name]} AS `{name}`" for name in query.columns)
        text = f"""\
SELECT {columns}, FALSE AS `{IS_COPY}` FROM UNNEST(GENERATE_ARRAY(@low, @high - 1, @step)) AS us
ORDER BY us {"DESC" if query.descending else ""} LIMIT @most"""  # noqa: S608 - names of a declaration
        most = 1 << 62 if query.limit is None else query.limit
        first_us = -(-low_us // self._step_us) * self._step_us
        numbers = {"low": first_us, "high": high_us, "step": self._step_us, "most": most}
        async for piece in self._making.arrow(Statement(sql=text, parameters=numbers)):
            yield piece

    def bill_of(self, query: Query) -> int:
        """Return what a query costs, in bytes.

        Raises:
            QueryTooExpensiveError: BigQuery would refuse it, by its upper bound.
        """
        return self._bill(
            msgspec.structs.replace(render(query), is_cheap=is_short(query) and self._trust.covers(query))
        )

    def _bill(self, statement: Statement) -> int:
        now_us, limit = self._clock.now_us(), self._limits.get(statement.purpose)
        needed = upper_bound(statement, self.contents, now_us)
        if limit is not None and statement.is_cheap:
            limit = None if statement.purpose == "look_up" else limit * CHEAP_FACTOR
        if limit is not None and needed > limit:
            raise QueryTooExpensiveError(limit, needed)
        return billed_bytes(statement, self.contents, self._layout, now_us)

    async def rows(self, query: Query) -> Answer:
        """Return the rows of a page or of a look-up, none of which is a copy."""
        match query:
            case Rows():
                rows, billed = self._page(query), self._pay_for(query)
                return Answer(rows, billed, round(len(rows) * self.contents.row_bytes))
            case Statistics() | Count():
                return Answer([{"records": 0, "bucket": 0}], self._pay_for(query))
            case LookUp():
                return await look_up(self._read, query, "", is_indexed=self._layout.id_index)
            case _:
                raise TypeError(query)

    async def _read(self, statement: Statement) -> Answer:
        """Answer one of the two statements of a look-up by id."""
        billed = self._bill(statement)
        self._pay(billed)
        at_us = int(str(statement.parameters["id"]).rpartition("-")[2])
        low_us, high_us = int(statement.parameters["lookback_from_us"]), int(statement.parameters["to_us"])  # type: ignore[arg-type] # instants
        is_there = self.contents.begins_us <= at_us and low_us <= at_us < high_us
        return Answer([self._row(at_us)] if is_there else [], billed)

    def _pay_for(self, query: Query) -> int:
        billed = self.bill_of(query)
        self._pay(billed)
        if is_short(query):
            self._trust.note(query, billed)
        return billed

    def _pay(self, billed: int) -> None:
        self.billed += billed
        self.queries += 1

    def export(self, from_us: int, to_us: int, lookback_us: int) -> Rows:
        """Return the export of a range, with all columns."""
        names = tuple(column.name for column in self._table.columns)
        within = TimeRange(from_us, to_us)
        return Rows(table=self._table.name, within=within, lookback_us=lookback_us, columns=names, purpose="export")

    def _bounds(self, query: Rows) -> tuple[int, int]:
        """Return the instants between which the rows of a query lie, those of its position left out."""
        low_us, after = max(query.within.from_us, self.contents.begins_us), query.after
        high_us = min(query.within.to_us, self._clock.now_us())
        if after is not None and query.descending:
            return low_us, min(high_us, after.ingest_us)
        return low_us if after is None else max(low_us, after.ingest_us + bool(after.delivery_key)), high_us

    def _page(self, query: Rows) -> list[Row]:
        step_us, (low_us, high_us) = self._step_us, self._bounds(query)
        instants = range(-(-low_us // step_us) * step_us, high_us, step_us)
        return [self._row(at_us) for at_us in (instants[::-1] if query.descending else instants)[: query.limit]]

    @staticmethod
    def _row(at_us: int) -> Row:
        return {
            "id": f"order-{at_us}",
            "timestamp": _PUBLISHED,
            "source": "",
            "data": _PAYLOAD,
            "subscription_name": "projects/my-project/subscriptions/events-push",
            "message_id": "12345678901234567",
            "publish_time": _PUBLISHED,
            "attributes": msgspec.Raw(b"{}"),
            "ordering_key": None,
            "message_index": 0,
            "delivery_key": f"12345678901234567/{at_us}/0",
            "ingest_time": from_epoch_us(at_us),
            "trace_id": None,
        }
