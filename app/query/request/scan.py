"""A request for rows as one value, made once: what to read, from which position of which window, and how to answer.

The order is (`ingest_time`, `delivery_key`). A page begins after the last row of the page before, never at an offset,
so rows that arrive in the meantime neither shift nor repeat it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from app.auth.grants import Principal
from app.http.contract import Parameter
from app.http.problems import FieldError, ProblemError
from app.query.request.cursor import Cursor, decode_cursor, encode_cursor, position_in, resume_cursor
from app.query.request.filters import filter_parameters, fingerprint, in_order, parse_filters
from app.query.request.parameters import (
    CANARY,
    DEFAULT_LIMIT,
    LAST_EVENT_ID,
    MAX_LIMIT,
    PAGE_PARAMETERS,
    STATE_PARAMETERS,
    TAIL_PARAMETERS,
    Format,
    Parameters,
    choose_format,
)
from app.record import CANARY_PREFIX
from app.runtime.instants import (
    DAY_US,
    HOUR_US,
    MAX_US,
    InstantError,
    TimeRange,
    clamp,
    epoch_us,
    parse_instant,
    to_text,
)
from app.schema.columns import Column, Kind, Mode, Role, flat
from app.schema.filters import FilterField, filter_table
from app.schema.table import REJECTS, Table
from app.stores.query import Condition, Position, beyond
from app.stores.source import Row

CountMode = Literal["none", "capped", "exact"]
_RELATIVE = re.compile(r"now|[+-]?[Pp].*")
_LIKE_A_CURSOR = re.compile(r"[A-Za-z0-9_-]{25,}")
_MAX_FIELDS = 200


def _canaries(operator: str, *values: str) -> Condition:
    return Condition("delivery_key", (), operator, Kind.STRING, values)


# Less than the prefix, or not less than the next text that does not begin with it. NOT STARTS_WITH is equivalent, but
# made a page of the embedded store a third slower: it is evaluated on every row, before rows of other times are
# discarded.
_BEYOND_PREFIX = CANARY_PREFIX[:-1] + chr(ord(CANARY_PREFIX[-1]) + 1)
WITHOUT_CANARIES = _canaries("outside", CANARY_PREFIX, _BEYOND_PREFIX)
_CANARY_CONDITIONS: dict[str, tuple[Condition, ...]] = {  # by the words of the parameter
    "exclude": (WITHOUT_CANARIES,),
    "include": (),
    "only": (_canaries("prefix", CANARY_PREFIX),),
}


class Now(msgspec.Struct, frozen=True):
    """The instant at which a request is evaluated.

    Relative times count from `now_us`; `horizon_us` is how far the table is settled. `latest_us` lies beyond every
    existing row, because instances' clocks differ.
    """

    now_us: int
    horizon_us: int
    latest_us: int


class QueryableTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table as queries see it: its columns, its fields with what each may do, and the longest window.

    `has_canaries`: canaries are excluded unless they are requested. `only`: the rows that do not meet these conditions
    do not exist. `unfiltered` are the paths of the declared fields without the role `filter`; `hashed`, of those that
    are stored as hashes.
    """

    name: str
    columns: tuple[Column, ...]
    fields: Mapping[str, FilterField]
    unfiltered: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()
    max_window_days: int
    has_canaries: bool = True
    only: tuple[Condition, ...] = ()

    def known(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """Return those of `parameters` that apply to this table."""
        return {name: each for name, each in parameters.items() if self.has_canaries or name != CANARY}

    def documented(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """Return those of `parameters` that apply to this table, and its filters."""
        return {**self.known(parameters), **filter_parameters(self.fields)}

    def conditions(self, given: Parameters) -> tuple[tuple[Condition, ...], str]:
        """Return the conditions that the parameters state, and the fingerprint that identifies them in cursors."""
        own = in_order((*given.conditions, *self.only))
        choice: str = given.value(CANARY) if self.has_canaries else "include"
        mark = choice if self.has_canaries and choice != "exclude" else ""
        return (*own, *_CANARY_CONDITIONS[choice]), fingerprint(own, mark)

    def restricted(self, conditions: tuple[Condition, ...], principal: Principal, *paths: str) -> tuple[Condition, ...]:
        """Return the conditions of a request with its caller's fixed filters, which were validated with the grants.

        `paths` are fields that the request looks up besides.

        Raises:
            ProblemError: forbidden, because a field is hashed and the grant has `hashed_filters` = false.
        """
        asked = {*paths, *(condition.path for condition in conditions)}
        refused = [] if principal.hashed_filters else sorted(self.hashed & asked)
        if refused:
            detail = f"{principal.name} may not filter by or look up {', '.join(refused)}: the values are hashed"
            raise ProblemError("forbidden", detail)
        return (*conditions, *parse_filters(self.fields, principal.filters))


def queryable(table: Table, max_window_days: int, only: tuple[Condition, ...] = ()) -> QueryableTable:
    """Return a table as queries see it; the rejects have no canaries."""
    fields = filter_table(table)
    declared = () if table.name == REJECTS else table.record  # the type of rejects is no user's
    paths = (path for path, column in flat(declared) if column.kind is not Kind.STRUCT and column.mode != Mode.REPEATED)
    return QueryableTable(
        name=table.name,
        columns=table.columns,
        fields=fields,
        unfiltered=frozenset(path for path in paths if path not in fields or not fields[path].operators),
        hashed=frozenset(path for path, column in flat(table.columns) if Role.HASH in column.roles),
        max_window_days=max_window_days,
        has_canaries=table.name != REJECTS,
        only=only,
    )


class Fold(msgspec.Struct, frozen=True):
    """What a state is made of: the versions before `up_to` (of a row, with it) that match `conditions`."""

    up_to: Position
    tombstones: bool
    conditions: tuple[Condition, ...] = ()

    @property
    def ends_us(self) -> int:
        """The end of the window in which they are."""
        return self.up_to.ingest_us + bool(self.up_to.delivery_key)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan of a `window` of `table`: its rows after the position `after` that match `conditions`, at most `limit`.

    The window ends where the table is settled (`horizon_us`) or, with `latest`, beyond every row, and at `last_us` at
    the latest; one that a cursor has closed has no `last_us`. `fixed_until_us` is the end of a window that the same
    request will always mean. `is_resumed`: it continues from a resume cursor, so `after` is settled, whatever this
    instance's clock says. `settled` is how far the rows read by this scan so far were final, by the clock of the
    instance that read them. A `limit` of None means everything. With `fold`, the rows are those of a state: its `up_to`
    is `settled` in cursors.
    """

    table: str
    window: TimeRange
    horizon_us: int
    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...] = ()
    fingerprint: str = ""
    descending: bool = False
    after: Position | None = None
    settled: Position | None = None
    is_resumed: bool = False
    last_us: int | None = None
    fixed_until_us: int | None = None
    fold: Fold | None = None
    limit: int | None = DEFAULT_LIMIT
    latest: bool = False
    wait_s: float = 0.0
    count: CountMode = "none"
    format: Format = "json"
    csv_guard: bool = False
    end: bool = False
    explain: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether the same request will always mean the same window, and its rows are final."""
        return self.fixed_until_us is not None and self.fixed_until_us <= self.horizon_us

    @property
    def may_grow(self) -> bool:
        """Whether the window may reach further a moment later."""
        return self.fold is None and not self.is_fixed and self.window.to_us >= self.horizon_us

    @property
    def is_followed(self) -> bool:
        """Whether a reader that goes on with its `resume_cursor` has read all records before."""
        return self.fold is None and not self.descending

    @property
    def read(self) -> str:
        """What is read, as cursors name it: a table, or its state."""
        return self.table if self.fold is None else f"{self.table}/state"

    @property
    def remaining(self) -> TimeRange:
        """The part of the window still to be read."""
        return beyond(self.window, self.after, descending=self.descending)

    def at(self, now: Now) -> "Scan":
        """Return the scan at another moment, in as much of its window as may be read then."""
        window = self.window
        if self.last_us is not None:
            edge_us = now.latest_us if self.latest else now.horizon_us
            # The horizon may be before a cursor, by another instance's clock: then there is nothing to read.
            window = TimeRange(window.from_us, max(window.from_us, min(edge_us, self.last_us)))
        return msgspec.structs.replace(self, window=window, horizon_us=now.horizon_us)

    def counting(self, conditions: tuple[Condition, ...]) -> "Scan":
        """Return the scan of a state that is made of the versions that match `conditions`."""
        fold = self.fold and msgspec.structs.replace(self.fold, conditions=conditions)
        return msgspec.structs.replace(self, fold=fold)

    def next_cursor(self, stopped_at: Position) -> str:
        """Return the cursor that continues the window from `stopped_at`."""
        return encode_cursor(
            Cursor(
                table=self.read,
                descending=self.descending,
                since_us=self.window.from_us,
                until_us=self.window.to_us,
                after=stopped_at,
                fingerprint=self.fingerprint,
                settled=self._settled(),
            )
        )

    def resume_cursor(self, stopped_at: Position | None) -> str:
        """Return the cursor after `stopped_at`, or after the whole window if it was read (or read backwards).

        It never passes the settled horizon: beyond it, new rows may still appear before existing ones. That of a state
        is the feed's at the moment of the state.
        """
        if self.fold is not None:
            return resume_cursor(self.table, self.fold.up_to, self.fingerprint)
        end = Position(self.window.to_us, "")
        if self.after is not None:  # by this instance's clock, the window may end before it
            end = max(end, self.after)
        reached = stopped_at if stopped_at is not None and not self.descending else end
        return resume_cursor(self.table, min(reached, self._settled()), self.fingerprint)

    def _settled(self) -> Position:
        """Return how far the rows read by this scan so far are final.

        Rows that an earlier page knew to be final stay final, even if this instance's clock is behind. A page that read
        beyond them (freshness=latest) may have missed rows that have appeared since, so `settled` does not advance.
        """
        if self.fold is not None:
            return self.fold.up_to
        begin = Position(self.window.from_us, "")
        known = self.settled or (self.after if self.is_resumed and self.after else begin)
        end = Position(self.window.to_us, "")
        has_read_beyond = self.settled is not None and (end if self.descending else self.after or begin) > known
        return known if has_read_beyond else max(known, Position(min(self.horizon_us, self.window.to_us), ""))


class Count(msgspec.Struct, frozen=True):
    """How many records a window holds: exactly `value`, or at least that many."""

    value: int
    relation: Literal["eq", "gte"]

    @property
    def header(self) -> str:
        """The text of the header `Sluice-Count`."""
        return f"{self.value};relation={self.relation}"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one page of `scan`, and where it stopped; `stopped_at` is None at the end of the window."""

    scan: Scan
    rows: list[Row]
    stopped_at: Position | None = None
    count: Count | None = None

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None at the end of the window."""
        return None if self.stopped_at is None else self.scan.next_cursor(self.stopped_at)

    @property
    def resume_cursor(self) -> str:
        """The cursor that continues with rows newer than those read."""
        return self.scan.resume_cursor(self.stopped_at)

    @property
    def is_short(self) -> bool:
        """Whether there are more rows, but the page ended early, because of what it cost or would have cost."""
        return self.stopped_at is not None and len(self.rows) < (self.scan.limit or MAX_LIMIT)

    @property
    def may_grow(self) -> bool:
        """Whether its window has been read to the end, which may lie further on a moment later."""
        return self.stopped_at is None and self.scan.may_grow


def parse_scan(query: str, subject: QueryableTable, now: Now, accept: str = "") -> Scan:
    """Return the scan that a query string asks for, and the header Accept.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong, or `invalid_cursor`.
    """
    given = Parameters(query, subject.known(PAGE_PARAMETERS), subject.fields, subject.unfiltered)
    latest = given.value("freshness") == "latest"
    edge_us = now.latest_us if latest else now.horizon_us
    since_us, until_us = read_ends(given, now, edge_us=edge_us, max_window_days=subject.max_window_days)
    longest_us = subject.max_window_days * DAY_US
    scan = Scan(
        **_rows(given, subject),
        window=TimeRange(since_us, since_us),
        horizon_us=now.horizon_us,
        descending=given.value("order") == "desc",
        last_us=min(MAX_US if until_us is None else until_us, since_us + longest_us),
        fixed_until_us=until_us if is_instant(given.text("since")) and is_instant(given.text("until")) else None,
        latest=latest,
        wait_s=given.value("wait"),
        count=given.value("count"),
        **_form(given, accept),
    )
    given.check()
    text, order = given.text("cursor"), given.text("order")
    return (scan if text is None else continued(scan, text, order, longest_us)).at(now)


def _rows(given: Parameters, subject: QueryableTable) -> dict[str, Any]:
    """Return the members of a scan that say which rows match, and which of their columns are read."""
    conditions, mark = subject.conditions(given)
    columns = read_fields(given, subject.columns)
    return {"table": subject.name, "conditions": conditions, "fingerprint": mark, "columns": columns}


def _form(given: Parameters, accept: str) -> dict[str, Any]:
    """Return the members of a scan that say how much is answered, and how."""
    form = {name: given.value(name) for name in ("limit", "csv_guard", "end", "explain")}
    if form["limit"] is None and given.text("format") == "json" and not form["explain"]:
        given.refuse("format", "limit=all is a stream, which cannot be one JSON document", "ndjson")
    return form | {"format": choose_format(given.value("format"), accept)}


def parse_state(query: str, subject: QueryableTable, now: Now, within: TimeRange, accept: str = "") -> Scan:
    """Return the scan of a state that a query string asks for, and the header Accept.

    `within` is when versions came in that count, unless a moment is given. A moment that is a cursor's may lie beyond
    the horizon: another instance may know one that lies further on.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong, or `invalid_cursor`.
    """
    given = Parameters(query, STATE_PARAMETERS, subject.fields, subject.unfiltered)
    since_us = within.from_us
    fold = Fold(Position(within.to_us, ""), given.value("tombstones") == "include")
    scan = Scan(
        **_rows(given, subject),
        window=TimeRange(since_us, since_us),
        horizon_us=now.horizon_us,
        fold=fold,
        **_form(given, accept),
    )
    text, up_to = given.text("cursor"), given.value("as_of", lambda text: _read_as_of(text, scan, now)) or fold.up_to
    if text is not None and given.text("as_of") is not None:
        given.refuse("as_of", "the cursor already contains the moment; omit this parameter, or the cursor")
    elif up_to.ingest_us < since_us:
        given.refuse("as_of", f"earlier than the records that are kept, which begin at {to_text(since_us)}")
    elif up_to.ingest_us > now.latest_us:
        given.refuse("as_of", "later than any record")
    given.check()
    if text is not None:
        scan = continued(scan, text, None, within.length_us + 2 * HOUR_US)  # an earlier page began an hour earlier
        up_to = scan.settled or Position(scan.window.from_us, "")
    fold = msgspec.structs.replace(fold, up_to=up_to)
    if text is None:
        scan = msgspec.structs.replace(scan, window=TimeRange(since_us, fold.ends_us))
    elif scan.is_resumed or fold.ends_us != scan.window.to_us:
        raise ProblemError("invalid_cursor", "the cursor is not a next_cursor of a state")
    return msgspec.structs.replace(scan, fold=fold)


def _read_as_of(text: str, scan: Scan, now: Now) -> Position:
    """Return the position up to which versions count.

    Raises:
        ValueError: the text is neither an instant nor a cursor, or the instant is not settled.
        ProblemError: `invalid_cursor`.
    """
    if _LIKE_A_CURSOR.fullmatch(text):
        return _position_at("as_of", text, scan)
    at_us = parse_instant(text, now.now_us)
    if at_us > now.horizon_us:
        raise InstantError(f"later than the settled horizon, {to_text(now.horizon_us)}")
    return Position(at_us, "")


def _position_at(name: str, text: str, scan: Scan) -> Position:
    """Return the position of a resume cursor that is given as `name`.

    Raises:
        ProblemError: `invalid_cursor`, which names it.
    """
    try:
        return position_in(text, table=scan.table, fingerprint=scan.fingerprint)
    except ProblemError as error:
        raise ProblemError(error.code, f"{name}: {error.detail}") from None


def continued(scan: Scan, text: str, order: str | None, longest_us: int) -> Scan:
    """Return the scan that goes on from the cursor in `text`.

    Raises:
        ProblemError: `invalid_cursor`, or `invalid_parameter` for an order that is not the cursor's.
    """
    cursor = decode_cursor(text, table=scan.read, fingerprint=scan.fingerprint)
    if order is not None and scan.descending != cursor.descending:
        own = "desc" if cursor.descending else "asc"
        message = f"the cursor continues in order {own}; omit order"
        wrong = FieldError(name="order", message=message, example=own)
        raise ProblemError("invalid_parameter", f"order: {message}", errors=(wrong,))
    until_us = cursor.until_us
    if until_us is not None and until_us - cursor.since_us > longest_us:
        raise ProblemError("invalid_cursor", "the cursor's window is longer than the longest allowed window")
    return msgspec.structs.replace(
        scan,
        window=TimeRange(cursor.since_us, cursor.since_us if until_us is None else until_us),
        descending=cursor.descending,
        after=cursor.after,
        settled=cursor.settled,
        is_resumed=until_us is None,
        last_us=cursor.since_us + longest_us if until_us is None else None,
        fixed_until_us=until_us,
    )


def read_ends(given: Parameters, now: Now, *, edge_us: int, max_window_days: int) -> tuple[int, int | None]:
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


def is_instant(text: str | None) -> bool:
    """Return whether a window bound was given as an instant, which does not move with the clock."""
    return text is not None and not _RELATIVE.fullmatch(text)


def parse_tail(query: str, last_event_id: str | None, subject: QueryableTable, now: Now) -> Scan:
    """Return the scan that a tail repeats, at its first position: read from the query string, and the header.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong, or `invalid_cursor`.
    """
    given = Parameters(query, TAIL_PARAMETERS, subject.fields)
    text, longest_us = given.text("cursor"), subject.max_window_days * DAY_US
    if text is not None and given.text("since") is not None:
        given.refuse("since", "the cursor already says where to begin; omit this parameter, or the cursor")
    since_us = given.value("since", lambda text: parse_instant(text, now.now_us))
    earliest_us = clamp(now.horizon_us - longest_us)
    if since_us < earliest_us and not last_event_id:  # a stored URL gets old; the header takes precedence
        given.members["max_window_days"] = subject.max_window_days
        message = f"a tail must begin at most {subject.max_window_days} days ago; read older records in pages"
        given.refuse("since", message, to_text(earliest_us))
    scan = Scan(**_rows(given, subject), window=TimeRange(since_us, since_us), horizon_us=now.horizon_us)
    given.check()
    start = Position(since_us, "")
    if last_event_id:
        start = _position_at(LAST_EVENT_ID, last_event_id, scan)
    elif text is not None:
        start = position_in(text, table=scan.table, fingerprint=scan.fingerprint)
    return tail_scan(scan, start, now.horizon_us, longest_us)


def tail_scan(scan: Scan, after: Position, horizon_us: int, longest_us: int) -> Scan:
    """Return the scan of what follows `after`, as far as the table is settled."""
    # The horizon may be before `after`: by another instance's clock, or because the caller requested future rows.
    until_us = max(after.ingest_us, min(horizon_us, clamp(after.ingest_us + longest_us)))
    return msgspec.structs.replace(
        scan,
        window=TimeRange(after.ingest_us, until_us),
        horizon_us=horizon_us,
        after=after if after.delivery_key else None,
        is_resumed=True,
    )


def read_fields(given: Parameters, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the requested columns: those that `fields` lists, or all of `columns`."""
    served: tuple[Column, ...] | None = given.value("fields", lambda text: parse_fields(columns, text))
    return columns if served is None else served


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


def position_of(row: Row) -> Position:
    """Return the position of a row in the order."""
    return Position(epoch_us(row["ingest_time"]), row["delivery_key"])
