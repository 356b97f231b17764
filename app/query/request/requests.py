"""Parse the request for a page or for one record: the window, `fields`, filters and `heartbeat`."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from app.http.contract import Parameter
from app.http.problems import ProblemError
from app.query.request.cursor import decode_cursor
from app.query.request.filters import filter_parameters, fingerprint, in_order
from app.query.request.negotiation import Format
from app.query.request.parameters import (
    CANARY,
    DEFAULT_LIMIT,
    LAST_EVENT_ID,
    PAGE_PARAMETERS,
    RECORD_PARAMETERS,
    TAIL_PARAMETERS,
    Parameters,
)
from app.record import CANARY_PREFIX
from app.runtime.instants import DAY_US, clamp, parse_instant, to_text
from app.runtime.time_range import TimeRange
from app.schema.columns import Column, Kind
from app.schema.filters import FilterField, known_fields
from app.schema.table import REJECTS, Table
from app.stores.query import Condition, Position

CountMode = Literal["none", "capped", "exact"]
_RELATIVE = re.compile(r"now|[+-]?[Pp].*")
_MAX_FIELDS = 200


class CanaryFilter(msgspec.Struct, frozen=True):
    """The parameter's `choice`, and the `conditions` that implement it."""

    choice: str
    conditions: tuple[Condition, ...]

    @property
    def mark(self) -> str:
        """The mark of the choice in cursors; "" for the default."""
        return "" if self.choice == "exclude" else self.choice


def _condition(operator: str, *values: str) -> Condition:
    return Condition("delivery_key", (), operator, Kind.STRING, values)


# Less than the prefix, or not less than the next text that does not begin with it. NOT STARTS_WITH is equivalent, but
# made a page of the embedded store a third slower: it is evaluated on every row, before rows of other times are
# discarded.
_BEYOND_PREFIX = CANARY_PREFIX[:-1] + chr(ord(CANARY_PREFIX[-1]) + 1)
WITHOUT_CANARIES = _condition("outside", CANARY_PREFIX, _BEYOND_PREFIX)
EXCLUDED = CanaryFilter("exclude", (WITHOUT_CANARIES,))
NONE_THERE = CanaryFilter("exclude", ())
"""For a table without canaries, or one that does not treat them specially."""
_CHOICES = {  # by the words of the parameter
    "exclude": EXCLUDED,
    "include": CanaryFilter("include", ()),
    "only": CanaryFilter("only", (_condition("prefix", CANARY_PREFIX),)),
}


def read_canary_filter(given: Parameters) -> CanaryFilter:
    """Return the choice of the parameter."""
    return _CHOICES[given.value(CANARY)]


class Now(msgspec.Struct, frozen=True):
    """The instant at which a request is evaluated.

    Relative times count from `now_us`; `horizon_us` is how far the table is settled. `latest_us` lies beyond every
    existing row, because instances' clocks differ.
    """

    now_us: int
    horizon_us: int
    latest_us: int


class QueryableTable(msgspec.Struct, frozen=True):
    """A table as queries see it: its columns, its fields with what each may do, and the longest window.

    `has_canaries`: canaries are excluded unless they are requested. `only`: the rows that do not meet these conditions
    do not exist.
    """

    columns: tuple[Column, ...]
    fields: Mapping[str, FilterField]
    max_window_days: int
    has_canaries: bool = True
    only: tuple[Condition, ...] = ()

    def known(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """Return those of `parameters` that apply to this table."""
        return {name: each for name, each in parameters.items() if self.has_canaries or name != CANARY}

    def documented(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """Return those of `parameters` that apply to this table, and its filters."""
        return {**self.known(parameters), **filter_parameters(self.fields)}

    def canaries(self, given: Parameters) -> CanaryFilter:
        """Return the choice about canaries."""
        return read_canary_filter(given) if self.has_canaries else NONE_THERE


def queryable(table: Table, max_window_days: int, only: tuple[Condition, ...] = ()) -> QueryableTable:
    """Return a table as queries see it; the rejects have no canaries."""
    return QueryableTable(table.columns, known_fields(table), max_window_days, table.name != REJECTS, only)


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The requested page.

    Its window applies if there is no `cursor`. It begins at `since_us` and ends at `until_us`, or at the settled
    horizon if that is earlier or `until_us` is None. `is_fixed` says that both ends were given as instants.
    `descending` and `format` are None if not given; a `limit` of None means everything.
    """

    since_us: int
    until_us: int | None = None
    is_fixed: bool = False
    cursor: str | None = None
    descending: bool | None = None
    limit: int | None = DEFAULT_LIMIT
    columns: tuple[Column, ...] = ()
    conditions: tuple[Condition, ...] = ()
    canaries: CanaryFilter = EXCLUDED
    count: CountMode = "none"
    latest: bool = False
    wait_s: float = 0.0
    format: Format | None = None
    csv_guard: bool = False
    end: bool = False
    explain: bool = False


class RecordRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request for one record: all its versions or the latest, with these columns."""

    all_versions: bool
    columns: tuple[Column, ...]
    canaries: CanaryFilter = EXCLUDED


def parse_page_request(query: str, subject: QueryableTable, now: Now) -> PageRequest:
    """Read the parameters of a page from the query string.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong.
    """
    given = Parameters(query, subject.known(PAGE_PARAMETERS), subject.fields)
    latest = given.value("freshness") == "latest"
    edge_us = now.latest_us if latest else now.horizon_us
    since_us, until_us = _ends(given, now, edge_us=edge_us, max_window_days=subject.max_window_days)
    page = PageRequest(
        since_us=since_us,
        until_us=until_us,
        is_fixed=is_instant(given.text("since")) and is_instant(given.text("until")),
        cursor=given.text("cursor"),
        descending=None if given.text("order") is None else given.value("order") == "desc",
        limit=given.value("limit"),
        columns=read_fields(given, subject.columns),
        conditions=in_order((*given.conditions, *subject.only)),
        canaries=subject.canaries(given),
        count=given.value("count"),
        latest=latest,
        wait_s=given.value("wait"),
        format=given.value("format"),
        csv_guard=given.value("csv_guard"),
        end=given.value("end"),
        explain=given.value("explain"),
    )
    _check_together(given, page)
    given.check()
    return page


def parse_record_request(query: str, columns: tuple[Column, ...]) -> RecordRequest:
    """Read the parameters of a look-up by id.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong.
    """
    given = Parameters(query, RECORD_PARAMETERS)
    all_versions = given.value("versions") == "all"
    served = read_fields(given, columns)
    canaries = read_canary_filter(given)
    given.check()
    return RecordRequest(all_versions=all_versions, columns=served, canaries=canaries)


def read_fields(given: Parameters, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the requested columns: those that `fields` lists, or all of `columns`."""
    served: tuple[Column, ...] | None = given.value("fields", lambda text: parse_fields(columns, text))
    return columns if served is None else served


def read_window(given: Parameters, now: Now, *, edge_us: int, max_window_days: int) -> TimeRange:
    """Resolve the window: relative times become instants, and it ends at `edge_us` at the latest."""
    since_us, until_us = _ends(given, now, edge_us=edge_us, max_window_days=max_window_days)
    return TimeRange(since_us, max(since_us, edge_us if until_us is None else min(until_us, edge_us)))


def _ends(given: Parameters, now: Now, *, edge_us: int, max_window_days: int) -> tuple[int, int | None]:
    """Return the start of the window and, if given, its end, which may lie beyond what can be read yet."""
    nothing = now.now_us, None
    if given.text("cursor") is not None:
        for name in ("since", "until"):
            if given.text(name) is not None:
                given.refuse(name, "the cursor already contains the window; omit this parameter, or the cursor")
        return nothing
    seen = len(given.errors)
    since_us = given.value("since", lambda text: parse_instant(text, now.now_us))
    asked_us = given.value("until", lambda text: parse_instant(text, now.now_us))
    if len(given.errors) > seen:
        return nothing
    if asked_us is not None and since_us > asked_us:
        default = "" if given.text("since") is not None else " (an hour ago by default)"
        given.refuse("since", f"{to_text(since_us)}{default} is later than until, {to_text(asked_us)}")
        return nothing
    longest_us = max_window_days * DAY_US
    if (edge_us if asked_us is None else min(asked_us, edge_us)) - since_us > longest_us:
        given.members["max_window_days"] = max_window_days
        message = f"a window must not exceed {max_window_days} days; with this since, end it there or earlier"
        given.refuse("until", message, to_text(clamp(since_us + longest_us)))
    return since_us, asked_us


def _check_together(given: Parameters, page: PageRequest) -> None:
    """Reject parameters that make no sense together, rather than ignore them."""
    if page.limit is None and page.format == "json" and not page.explain:
        given.refuse("format", "limit=all is a stream, which cannot be one JSON document", "ndjson")
    if page.limit is None and page.wait_s:
        given.refuse("wait", "limit=all does not wait for records; omit one of the two", "0")
    if page.wait_s and page.descending:
        given.refuse("wait", "a read with the newest records first cannot wait for new ones; omit order", "0")
    if page.end and page.limit is not None:
        given.refuse(
            "end", "this applies to limit=all only; in a page, next_cursor says whether there is more", "false"
        )
    if page.end and page.format == "arrow":
        given.refuse("end", "an Arrow stream already marks its end", "false")


def is_instant(text: str | None) -> bool:
    """Return whether a window bound was given as an instant, which does not move with the clock."""
    return text is not None and not _RELATIVE.fullmatch(text)


def parse_fields(columns: Sequence[Column], text: str) -> tuple[Column, ...]:
    """Return the columns that `text` lists, in its order; a STRUCT has only the fields listed for it, if any are.

    Raises:
        ValueError: a field is not there, or is listed twice.
    """
    paths = [path.strip() for path in text.split(",")]
    if len(paths) > _MAX_FIELDS:
        raise ValueError(f"expected at most {_MAX_FIELDS} fields")
    return _chosen(columns, [path.split(".") for path in paths], "")


def _chosen(columns: Sequence[Column], paths: list[list[str]], outer: str) -> tuple[Column, ...]:
    known = {column.name: column for column in columns}
    below: dict[str, list[list[str]]] = {}
    for name, *rest in paths:
        if name not in known:
            raise ValueError(f"there is no field {(outer + name)[:100]!r}; there are {', '.join(known)}")
        below.setdefault(name, []).append(rest)
    selection = []
    for name, rests in below.items():
        column, path = known[name], outer + name
        if [] in rests:
            if len(rests) > 1:
                raise ValueError(f"{path} is listed more than once")
            selection.append(column)
        elif not column.fields:
            raise ValueError(f"{path} has no fields of its own; list it as a whole")
        else:
            selection.append(msgspec.structs.replace(column, fields=_chosen(column.fields, rests, f"{path}.")))
    return tuple(selection)


class TailRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The requested tail: the `columns` of the rows after `start` that match `conditions`.

    `fingerprint` identifies those conditions in cursors.
    """

    start: Position
    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]
    fingerprint: str


def parse_tail_request(
    query: str, last_event_id: str | None, subject: QueryableTable, table: str, now: Now
) -> TailRequest:
    """Read the parameters of a tail of `table` from the query string, and the header.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong, or `invalid_cursor`.
    """
    given = Parameters(query, TAIL_PARAMETERS, subject.fields)
    cursor = given.text("cursor")
    if cursor is not None and given.text("since") is not None:
        given.refuse("since", "the cursor already says where to begin; omit this parameter, or the cursor")
    since_us = given.value("since", lambda text: parse_instant(text, now.now_us))
    earliest_us = clamp(now.horizon_us - subject.max_window_days * DAY_US)
    if since_us < earliest_us and not last_event_id:  # a stored URL gets old; the header takes precedence
        given.members["max_window_days"] = subject.max_window_days
        message = f"a tail must begin at most {subject.max_window_days} days ago; read older records in pages"
        given.refuse("since", message, to_text(earliest_us))
    columns = read_fields(given, subject.columns)
    canaries = read_canary_filter(given)
    given.check()
    mark = fingerprint(given.conditions, canaries.mark)
    conditions = in_order((*given.conditions, *canaries.conditions))
    if last_event_id:
        start = _place_of(last_event_id, table, mark, of=f"{LAST_EVENT_ID}: ")
    else:
        start = Position(since_us, "") if cursor is None else _place_of(cursor, table, mark)
    return TailRequest(start=start, columns=columns, conditions=conditions, fingerprint=mark)


def _place_of(text: str, table: str, mark: str, of: str = "") -> Position:
    try:
        cursor = decode_cursor(text, table=table, fingerprint=mark)
    except ProblemError as error:
        raise ProblemError(error.code, of + error.detail) from None
    if cursor.until_us is not None:
        raise ProblemError(
            "invalid_cursor", f"{of}the cursor is a next_cursor, which ends with its window; expected a resume_cursor"
        )
    return cursor.after or Position(cursor.since_us, "")
