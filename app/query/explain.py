"""Describe the store queries of a page instead of running them. Pure."""

from collections.abc import Sequence

import msgspec

from app.query.retrieval import Retrieval
from app.query.slices import Slice
from app.runtime.instants import to_text
from app.schema.columns import Kind
from app.stores.query import Condition
from app.stores.source import Plan, shown_value

_SHOWN_SLICES = 20


class Span(msgspec.Struct, frozen=True):
    """A stretch of time, from `since` to before `until`."""

    since: str
    until: str


class Filter(msgspec.Struct, frozen=True):
    """A condition on a field."""

    field: str
    operator: str
    values: list[str | int | float | bool]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a page would ask of the store.

    `sql` is the first query, in BigQuery's dialect; it is repeated, with other bounds, for each of the `slices` until
    the page is full. `estimated_bytes` is what that query would read, at most, where the store says it, and `max_bytes`
    what one may.
    """

    table: str
    window: Span
    order: str
    fields: list[str]
    filters: list[Filter]
    fixed_filters: list[Filter]
    heartbeat: str
    slices: list[Span]
    slice_count: int
    sql: str
    parameters: dict[str, str | int | float | bool]
    estimated_bytes: int | None
    max_bytes: int | None


def explanation(
    wanted: Retrieval,
    *,
    fixed: Sequence[Condition],
    plan: Plan,
    slices: Sequence[Slice],
    max_bytes: int,
) -> Explanation:
    """Return the explanation of a retrieval, whose first query has this `plan`; one may read `max_bytes`."""
    scan = wanted.scan
    return Explanation(
        table=scan.table,
        window=_span(scan.window.since_us, scan.window.until_us),
        order="desc" if scan.descending else "asc",
        fields=[column.name for column in wanted.view.columns],
        filters=[_filter(each) for each in wanted.asked.conditions],
        fixed_filters=[_filter(each) for each in fixed],
        heartbeat=wanted.asked.canaries.choice,
        slices=[_span(part.from_us, part.to_us) for part in slices[:_SHOWN_SLICES]],
        slice_count=len(slices),
        sql=plan.text,
        parameters={**plan.parameters},
        estimated_bytes=plan.estimated_bytes,
        max_bytes=None if plan.estimated_bytes is None else max_bytes,
    )


def _span(since_us: int, until_us: int) -> Span:
    return Span(to_text(since_us), to_text(until_us))


def _filter(condition: Condition) -> Filter:
    field = ".".join((condition.path, *condition.json_path))
    is_instant = condition.kind is Kind.TIMESTAMP
    values = [to_text(each) if is_instant and type(each) is int else shown_value(each) for each in condition.values]
    return Filter(field, condition.operator, values)
