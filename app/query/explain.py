"""Describe the store queries of a page instead of running them. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.query.params.filters import Condition
from app.query.retrieval import Retrieval
from app.query.slices import Slice
from app.query.sql.conditions import shown_value
from app.runtime.instants import to_text
from app.stores.source import Query, Scalar

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


def explanation(  # noqa: PLR0913 - the parts of an explanation
    wanted: Retrieval,
    *,
    fixed: Sequence[Condition],
    query: Query,
    slices: Sequence[Slice],
    estimated_bytes: int | None,
    max_bytes: int | None,
) -> Explanation:
    """Return the explanation of a retrieval and of its first query."""
    scan = wanted.scan
    return Explanation(
        table=scan.table,
        window=_span(scan.window.since_us, scan.window.until_us),
        order="desc" if scan.descending else "asc",
        fields=[column.name for column in wanted.view.columns],
        filters=[_filter(each) for each in wanted.asked.conditions],
        fixed_filters=[_filter(each) for each in fixed],
        heartbeat=wanted.asked.heartbeats.choice,
        slices=[_span(part.from_us, part.to_us) for part in slices[:_SHOWN_SLICES]],
        slice_count=len(slices),
        sql=query.sql,
        parameters={name: _shown(name, value) for name, value in query.parameters.items()},
        estimated_bytes=estimated_bytes,
        max_bytes=max_bytes,
    )


def _span(since_us: int, until_us: int) -> Span:
    return Span(to_text(since_us), to_text(until_us))


def _filter(condition: Condition) -> Filter:
    field = ".".join((condition.path, *condition.json_path))
    is_instant = condition.kind.value == "TIMESTAMP"
    return Filter(field, condition.operator, [_shown("_us" if is_instant else "", each) for each in condition.values])


def _shown(name: str, value: Scalar) -> Any:
    if name.endswith("_us") and isinstance(value, int) and not isinstance(value, bool):
        return to_text(value)
    return shown_value(value)
