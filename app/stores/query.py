"""What crosses the query seam: queries as data, which every store renders in its own way.

Rows are in the order of the feed: by `ingest_time`, then by `delivery_key`. A row is a *copy* if a row with its
`delivery_key` was stored within the look-back before it, or if it equals one before it in both. The others are
*originals*. Whether a row is a copy depends on the table alone, not on where a query begins.
"""

from datetime import date, time
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from app.runtime.instants import TimeRange
from app.schema.columns import Kind

# Not None, which has no type: the operator `isnull` says it instead.
Scalar = str | int | float | bool | bytes | Decimal | date | time
Purpose = Literal["page", "look_up", "export", "erase", "backfill", "horizon"]
"""Selects the limits of a query."""
Function = Literal["count", "sum", "avg", "min", "max", "p50", "p95", "count_distinct"]

IS_COPY = "_sluice_is_copy"


def poll_grid_us(poll_us: int) -> int:
    """Return how far apart readings of the marks are: the least power of two not below a poll, in microseconds.

    Readers who poll in one such period ask for the same rows, and one of them pays. It pays for all rows that are not
    clustered yet, so a period as long as a poll, and not shorter, halves the price of following.
    """
    return 1 << (max(poll_us, 1) - 1).bit_length()


class Position(msgspec.Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True):
    """A position in the order of the feed: that of one row, or, if the key is "", before every row of an instant."""

    ingest_us: int
    delivery_key: str


def beyond(within: TimeRange, after: Position | None, *, descending: bool) -> TimeRange:
    """Return the part of a range in which rows may be after a position."""
    if after is None:
        return within
    if descending:
        # The instant of the position has rows left only if the position is a row's. Otherwise a partition may begin
        # there.
        return TimeRange(within.from_us, min(within.to_us, after.ingest_us + bool(after.delivery_key)))
    return TimeRange(max(within.from_us, after.ingest_us), within.to_us)


class Condition(msgspec.Struct, frozen=True):
    """A condition on a row: the column at the dotted `path`, below it `json_path`, an operator and its values.

    `eq`, `ne`, `in`, `lt`, `lte`, `gt`, `gte` and `prefix` compare with values of the column's type (an instant in
    microseconds); `isnull` has one value, a bool. There is one operator that fields do not offer, `outside`: less than
    the first of two values, or not less than the second. A row without a value matches only `ne`, and `isnull` of true.

    In a JSON column, digits in `json_path` are a list index. `lt`, `lte`, `gt` and `gte` compare numbers, `prefix`
    compares texts, and each excludes values of any other type. `eq`, `ne` and `in` compare the text of a scalar,
    whatever its type; a list, an object and a JSON null are no value. Without a path, `isnull` is of the column.
    """

    path: str
    json_path: tuple[str, ...]
    operator: str
    kind: Kind
    values: tuple[Scalar, ...]


class Metric(msgspec.Struct, frozen=True):
    """A number for each bucket; `text` is its name in the request, such as `avg:price`.

    `path` and `kind` are the field's path and type; a count has no path. If `is_computed`, the value is not a field but
    the delay: the seconds from `publish_time` to `ingest_time`. Percentiles may be approximate.
    """

    text: str
    function: Function
    path: str = ""
    kind: Kind = Kind.INT64
    is_computed: bool = False


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of `table` stamped `within` a range of time that match all `conditions`."""

    table: str
    within: TimeRange
    conditions: tuple[Condition, ...] = ()


class Originals(Selection, frozen=True, kw_only=True):
    """The rows of a selection that are not copies, with a look-back of `lookback_us`; with 0, no row counts as one.

    An earlier row makes a row a copy whether or not it matches the conditions.
    """

    lookback_us: int


class Rows(Originals, frozen=True, kw_only=True):
    """The next rows, at most `limit`, `after` a position in the order of the feed or, `descending`, in the reverse.

    As rows, not as Arrow, up to about `max_bytes`, but always the first one. `marks_copies`: rows that are copies are
    among them, and each row has IS_COPY; of equal rows, all may be marked, or all but one, or, if no earlier row makes
    them copies, none. With a look-back of 0 nothing but the range is read.
    """

    purpose: Purpose = "page"
    columns: tuple[str, ...]
    descending: bool = False
    after: Position | None = None
    limit: int | None = None
    max_bytes: int | None = None
    marks_copies: bool = False

    @property
    def count(self) -> "Count":
        """The query of the number of these rows, without a limit."""
        return Count(**{name: getattr(self, name) for name in Count.__struct_fields__})


class State(Rows, frozen=True, kw_only=True):
    """Those of `Rows` that are the latest version of their id, and no tombstone.

    Versions are the originals stamped in `folded` that match `counted`; of those at its last instant, the ones up to
    `last_key`, unless that is "". The latest of an id is the one with the greatest value in the column `sequence` (an
    INT64 or a TIMESTAMP; NULL is less than any), and of several the last in the order of the feed, as it is without
    that column (""). It is a tombstone if the column `deleted` is true. `folded` includes `within`. `most`: no more
    rows than that are to be tested, as `count` has said; None if nobody has counted them.
    """

    id_column: str
    sequence: str = ""
    deleted: str = ""
    counted: tuple[Condition, ...] = ()
    folded: TimeRange
    last_key: str = ""
    most: int | None = None

    @property
    def count(self) -> "Count":
        """The query of the number of versions among these rows, the latest or not, without a limit."""
        return msgspec.structs.replace(super().count, conditions=(*self.conditions, *self.counted))


class LookUp(Originals, frozen=True, kw_only=True):
    """The newest `limit` rows whose `id_column` is `record_id`, newest first. A copy has the id of its original."""

    purpose: ClassVar[Purpose] = "look_up"
    columns: tuple[str, ...]
    id_column: str
    record_id: str | int
    limit: int


class Count(Originals, frozen=True, kw_only=True):
    """The number of rows `after` a position, as one row: `records`."""

    descending: bool = False
    after: Position | None = None
    purpose: Purpose = "page"


class Statistics(Originals, frozen=True, kw_only=True):
    """Numbers of the rows by bucket, in no particular order.

    Each row has `bucket`, `records`, and `metric_0` and so on, by position in `metrics`, for each metric that is not a
    count. Buckets last `bucket_us` and are counted from `first_us`, which is at or before the range.

    With `by`, the dotted path of a field, a row has three columns more. `place` is the rank of the group: 1 for the one
    with the most records and then the least key, NULL first. `group_key` may be None. `group_count` is the number of
    all groups. Only the `max_groups` largest groups have rows.
    """

    purpose: ClassVar[Purpose] = "page"
    by: str | None = None
    metrics: tuple[Metric, ...] = ()
    first_us: int
    bucket_us: int
    max_groups: int


class Keys(Selection, frozen=True, kw_only=True):
    """The `delivery_key` of every row of a selection, copies included, in no particular order; rows or Arrow."""

    columns: ClassVar[tuple[str, ...]] = ("delivery_key",)
    purpose: Purpose = "backfill"


class Occurrences(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of the whole table match all `conditions`, copies included, as one row.

    The row is `found`, and `first` and `last`, the stamps of the oldest and the newest, None without any.
    """

    purpose: Purpose = "erase"
    table: str
    conditions: tuple[Condition, ...]


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """The rows to delete: those stamped in [first_us, last_us], the last included, that match all `conditions`."""

    purpose: ClassVar[Purpose] = "erase"
    table: str
    first_us: int
    last_us: int
    conditions: tuple[Condition, ...]


Query = Rows | LookUp | Count | Statistics | Keys | Occurrences
ArrowQuery = Rows | Keys
