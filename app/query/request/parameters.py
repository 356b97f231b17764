"""The parameters of the query endpoints: each declared once, to parse requests, report errors and make the document."""

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

from app.http.contract import TEXT, Parameter
from app.http.problems import FieldError, ProblemError
from app.http.reading import preferred
from app.query.request.filters import FilterError, filterable, parse_filter, read_number
from app.schema.filters import FilterField
from app.stores.query import Condition

_SHOWN_LENGTH = 100  # of a caller's own text, in an error

_MAX_ERRORS = 20  # in one answer

_DETAILED = 3  # of them in `detail`

_MAX_FILTERS = 20

_BY_CURSOR = "pages follow each other by cursors: repeat the request with the next_cursor of the page as `cursor`"
# What other APIs call it.
_ELSEWHERE = {
    "sort": "the parameter is `order`: asc or desc, by the time when records were stored",
    "offset": _BY_CURSOR,
    "page": _BY_CURSOR,
}


class Parameters:
    """The parameters of one request: the `known` ones, and filters on `fields`.

    `unfiltered` are the paths of fields that the record type could make filters of.
    """

    def __init__(
        self,
        query: str,
        known: Mapping[str, Parameter],
        fields: Mapping[str, FilterField] | None = None,
        unfiltered: Collection[str] = (),
    ) -> None:
        self._known, self._fields, self._unfiltered = known, fields or {}, unfiltered
        self.errors: list[FieldError] = []
        self.members: dict[str, Any] = {}
        self.conditions: list[Condition] = []
        self._texts: dict[str, str] = {}
        for name, text in parse_qsl(query, keep_blank_values=True):
            if len(self.errors) >= _MAX_ERRORS:
                break  # the request is rejected anyway
            if name in self._texts:
                example = known[name].example if name in known else None
                self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message="must be given only once", example=example))
                continue
            self._texts[name] = text
            if name not in known:
                self._add_filter(name, text)

    def text(self, name: str) -> str | None:
        """Return the text of a parameter; None if it is not given."""
        return self._texts.get(name)

    def value(self, name: str, read: Callable[[str], Any] | None = None) -> Any:
        """Return the parameter's value, or its default's where it is missing or invalid; None if it has no default.

        `read` replaces the parameter's own way to read a text, where that depends on the request or the table.
        """
        parameter, text = self._known[name], self._texts.get(name)
        read = read or parameter.read
        if text is not None:
            try:
                return read(text)
            except ValueError as error:
                self.refuse(name, f"{_shown(text)}: {error}")
        return None if parameter.default is None else read(parameter.default)

    def refuse(self, name: str, message: str, example: str | None = None) -> None:
        """Record an error of a known parameter."""
        self._refuse(FieldError(name=name, message=message, example=example or self._known[name].example))

    def check(self) -> None:
        """Raise all collected errors at once.

        Raises:
            ProblemError: `invalid_parameter`, with an entry for each.
        """
        if self.errors:
            messages = [f"{error.name}: {error.message}" for error in self.errors[:_DETAILED]]
            more = ["and more, see `errors`"] if len(self.errors) > _DETAILED else []
            raise ProblemError(
                "invalid_parameter", "; ".join(messages + more), errors=tuple(self.errors), members=self.members
            )

    def _add_filter(self, name: str, text: str) -> None:
        try:
            condition = parse_filter(self._fields, name, text)
        except FilterError as error:
            self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=str(error), example=error.example))
            return
        if condition is None:
            self._refuse_unknown(name)
        elif len(self.conditions) == _MAX_FILTERS:
            self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=f"more than {_MAX_FILTERS} filters"))
        else:
            self.conditions.append(condition)

    def _refuse(self, error: FieldError) -> None:
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(error)

    def _refuse_unknown(self, name: str) -> None:
        filters = ", ".join(filterable(self._fields))
        path = next((path for path in self._unfiltered if name == path or name.startswith(f"{path}.")), None)
        if path is not None:
            role = 'without the role `filter`, which its record type may give it: Meta(extra={"sluice": ["filter"]})'
            message = f"{path} is a field {role}; filters are on {filters}"
        elif not self._known:
            message = "the endpoint has no parameters"
        elif name in _ELSEWHERE:
            message = f"there is no such parameter; {_ELSEWHERE[name]}"
        else:
            close = difflib.get_close_matches(name[:_SHOWN_LENGTH], [*self._known, *self._fields], n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            filters_text = f"; filters are on {filters}" if filters else ""
            message = f"there is no such parameter; {hint}The parameters are {', '.join(self._known)}{filters_text}"
        self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=message))


def one_of(description: str, *words: str, example: str, default: str | None = None, defers: bool = False) -> Parameter:
    """Return a parameter that is one of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
        return text

    return Parameter(description, example, {"type": "string", "enum": list(words)}, default, read, defers=defers)


def flag(description: str) -> Parameter:
    """Return a parameter that is `true` or `false`, by default the latter."""
    words = one_of(description, "true", "false", example="true")
    return Parameter(description, "true", {"type": "boolean"}, "false", lambda text: words.read(text) == "true")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")


Format = Literal["json", "ndjson", "csv", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",  # https://www.rfc-editor.org/rfc/rfc4180#section-3
    "arrow": "application/vnd.apache.arrow.stream",  # https://arrow.apache.org/docs/format/IANA.html
}
_FORMATS: dict[str, Format] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
}


def choose_format(parameter: Format | None, accept: str) -> Format:
    """Return the format of the response: the parameter's, or else the one `Accept` prefers, or else JSON.

    If nothing matches, the format is JSON: a response helps more than a 406.
    """
    return parameter or _FORMATS[preferred(accept, [*_FORMATS])]


MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_WAIT_S = 30
COUNT_CAP = 10_000
CANARY = "heartbeat"
LAST_EVENT_ID = "Last-Event-ID"


def _limit(text: str) -> int | None:
    if text == "all":
        return None
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(f"expected a whole number from 1 to {MAX_LIMIT}, or all")
    if text.startswith("-") or not text.strip("0"):
        raise ValueError("at least 1")
    digits = text.lstrip("0")
    return MAX_LIMIT if len(digits) > 9 else min(int(digits), MAX_LIMIT)


def _wait(text: str) -> float:
    try:
        seconds = read_number(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_S:
        raise ValueError(f"expected seconds, from 0 to {MAX_WAIT_S}")
    return seconds


WINDOW_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Start of the window, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 "
        "duration (`-PT15M`, `-P1DT2H`), or `now`. Digits beyond microseconds are dropped.",
        "-PT15M",
        TEXT,
        default="-PT1H",
        defers=True,
    ),
    "until": Parameter(
        "End of the window, exclusive, in the format of `since`. The default and maximum is the settled "
        "horizon, before which no new record can appear.",
        "2026-01-31T12:00:00Z",
        TEXT,
    ),
}
_FIELDS = Parameter(
    "The fields to return, in this order, separated by commas; `a.b` is the field `b` of the object `a`. Fewer "
    "fields cost less. By default all.",
    "id,ingest_time",
    TEXT,
)
CANARY_PARAMETER = one_of(
    "Whether to include canaries, the records that an operator publishes to measure the delay; a signed "
    "message attribute, `sluice-heartbeat`, marks them. `exclude` omits them, `include` adds them, `only` "
    "returns nothing else.",
    "exclude",
    "include",
    "only",
    example="include",
    default="exclude",
)
PAGE_PARAMETERS: dict[str, Parameter] = {
    **WINDOW_PARAMETERS,
    "cursor": Parameter(
        "Where to continue: a `next_cursor` (the same window) or a `resume_cursor` (newer records). The cursor "
        "contains the window, so omit `since` and `until`; repeat the filters. Other parameters may change.",
        "the next_cursor of the previous page",
        TEXT,
    ),
    "limit": Parameter(
        f"Records per page, at least 1; a value above {MAX_LIMIT} counts as {MAX_LIMIT}. `all` streams the rest "
        "of the window, as NDJSON (the default then), CSV or Arrow. If such a stream fails, the connection "
        "breaks, so that an incomplete stream does not look complete.",
        "500",
        {"type": "string", "pattern": "^([0-9]+|all)$"},
        default=str(DEFAULT_LIMIT),
        read=_limit,
    ),
    "order": one_of(
        "`asc`, oldest first, or `desc`.",
        "asc",
        "desc",
        example="desc",
        default="asc",
        defers=True,
    ),
    "fields": _FIELDS,
    "count": one_of(
        f"Whether to count the matching records of the window: `none`; `capped`, which stops at {COUNT_CAP}; or "
        "`exact`, which reads the whole window. With `limit=all`, the header `Sluice-Count` has the number of "
        "the records that follow.",
        "none",
        "capped",
        "exact",
        example="capped",
        default="none",
    ),
    "freshness": one_of(
        "`settled`: records whose position in the order is final. `latest`: younger records too. Other records "
        "may still appear between them, so the `resume_cursor`, which never passes the settled horizon, "
        "returns them again.",
        "settled",
        "latest",
        example="latest",
        default="settled",
    ),
    CANARY: CANARY_PARAMETER,
    "wait": Parameter(
        f"Seconds, up to {MAX_WAIT_S}, to wait for a first record if there is none yet (long polling). A "
        "request that joins an equal one waits no longer than that one.",
        "20",
        {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S},
        default="0",
        read=_wait,
    ),
    "format": one_of(
        "`json`, one document; `ndjson`, one record per line; `csv`; or `arrow`, an Arrow IPC stream. The "
        "cursors are in headers too. Overrides `Accept`.",
        "json",
        "ndjson",
        "csv",
        "arrow",
        example="ndjson",
    ),
    "csv_guard": flag(
        "`true` prefixes an apostrophe to texts that a spreadsheet would interpret as a formula (CSV only).",
    ),
    "end": flag(
        "`true` adds a final line to `limit=all`, so that a reader of NDJSON or CSV can tell that a stream or "
        'its saved file is complete. It is `{"end": true, "records": 3, "resume_cursor": "…"}`, or a last '
        "record `#end,3,…` with as many cells as the others.",
    ),
    "explain": flag(
        "`true` returns the query and its cost instead of records.",
    ),
}
STATE_PARAMETERS: dict[str, Parameter] = {
    "as_of": Parameter(
        "The moment of the state: an instant or a duration, in the format of `since`, or a `resume_cursor` of the feed "
        "with the same filters, up to whose position versions count. The default and maximum is the settled horizon.",
        "2026-01-31T12:00:00Z",
        TEXT,
    ),
    "cursor": Parameter(
        "Where to continue: the `next_cursor` of the page before, which contains the moment, so omit `as_of`; repeat "
        "the filters. Other parameters may change.",
        "the next_cursor of the previous page",
        TEXT,
    ),
    "tombstones": one_of(
        "`include` adds the ids whose latest version is a tombstone. A copy of the state that follows the feed needs "
        "them, because a version with a lower `sequence` may still arrive.",
        "exclude",
        "include",
        example="include",
        default="exclude",
    ),
    **{name: PAGE_PARAMETERS[name] for name in ("limit", "fields", "format", "csv_guard", "end", "explain")},
}
RECORD_PARAMETERS: dict[str, Parameter] = {
    "versions": one_of(
        "`latest`, one record, or `all`, every version, newest first.",
        "latest",
        "all",
        example="all",
        default="latest",
    ),
    "fields": _FIELDS,
    CANARY: CANARY_PARAMETER,
}
TAIL_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Where to begin, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 duration "
        "(`-PT15M`), or `now`, which means records stored from now on.",
        "-PT15M",
        TEXT,
        default="now",
        defers=True,
    ),
    "cursor": Parameter(
        "A `resume_cursor`, or the `id` of an event, to continue behind it: omit `since`, and repeat the filters.",
        "the resume_cursor of a page",
        TEXT,
    ),
    "fields": _FIELDS,
    CANARY: CANARY_PARAMETER,
}
LAST_EVENT_ID_PARAMETER = Parameter(
    "The `id` of the last event received, which browsers send when they reconnect: the stream continues behind "
    "it. Overrides `since` and `cursor`.",
    "the id of an event",
    TEXT,
    location="header",
)
