"""The query parameters: what each means, and how its text becomes a value or an error that helps."""

import difflib
import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec

from app.errors import FieldError, ProblemError
from app.query.instants import DAY_US, HOUR_US, clamp, parse_instant, to_text

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
Format = Literal["json", "ndjson"]
_SHOWN_LENGTH = 100  # of a caller's own text, in an error
_MAX_ERRORS = 20  # in one answer
_DETAILED = 3  # of them in `detail`
_Value = TypeVar("_Value")


class Parameter(msgspec.Struct, frozen=True):
    """A parameter as the documentation and the errors show it; `schema` is its JSON Schema."""

    description: str
    example: str
    schema: dict[str, Any]


PAGE_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Start of the window, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 duration "
        "(`-PT15M`, `-P1DT2H`), or `now`. Digits after the sixth decimal of a second are dropped.",
        "-PT15M",
        {"type": "string", "default": "-PT1H"},
    ),
    "until": Parameter(
        "End of the window, exclusive, written as `since` is. Without it, and at most: the settled horizon, before "
        "which no record can appear any more.",
        "2026-01-31T12:00:00Z",
        {"type": "string"},
    ),
    "cursor": Parameter(
        "Where to go on: a `next_cursor` (the same window) or a `resume_cursor` (whatever is new). It carries the "
        "window, so `since` and `until` are left out; `limit` and `format` may change.",
        "the next_cursor of the page before",
        {"type": "string"},
    ),
    "limit": Parameter(
        f"Records per page, at least 1; more than {MAX_LIMIT} counts as {MAX_LIMIT}.",
        "500",
        {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
    ),
    "order": Parameter(
        "`asc`, oldest first, or `desc`.",
        "desc",
        {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
    ),
    "format": Parameter(
        "`json`, one document, or `ndjson`, one record a line with the cursors in headers. Goes before `Accept`.",
        "ndjson",
        {"type": "string", "enum": ["json", "ndjson"]},
    ),
}
RECORD_PARAMETERS: dict[str, Parameter] = {
    "versions": Parameter(
        "`latest`, the record alone, or `all`, every version of it, newest first.",
        "all",
        {"type": "string", "enum": ["latest", "all"], "default": "latest"},
    ),
}


class Window(msgspec.Struct, frozen=True):
    """The time span of a query: [since_us, until_us)."""

    since_us: int
    until_us: int


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The page that is asked for. `window` counts when there is no `cursor`; None means not said."""

    window: Window
    cursor: str | None
    descending: bool | None
    limit: int
    format: Format | None


class _Parameters:
    """The parameters of one request; collects what is wrong with any of them."""

    def __init__(self, query: str, known: dict[str, Parameter]) -> None:
        self._known = known
        self.errors: list[FieldError] = []
        self.members: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        for name, text in parse_qsl(query, keep_blank_values=True):
            if len(self.errors) >= _MAX_ERRORS:
                break  # it is refused anyhow
            if name not in known:
                self._refuse_unknown(name)
            elif name in self._texts:
                self.refuse(name, "is given more than once")
            else:
                self._texts[name] = text

    def text(self, name: str) -> str | None:
        return self._texts.get(name)

    def value(self, name: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
        """Return the parameter's value; `default` when it is missing or wrong."""
        text = self._texts.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.refuse(name, f"{_shown(text)}: {error}")
            return default

    def refuse(self, name: str, message: str, example: str | None = None) -> None:
        self._refuse(FieldError(name=name, message=message, example=example or self._known[name].example))

    def _refuse(self, error: FieldError) -> None:
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(error)

    def _refuse_unknown(self, name: str) -> None:
        close = difflib.get_close_matches(name[:_SHOWN_LENGTH], self._known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        message = f"there is no such parameter; {hint}The parameters are {', '.join(self._known)}"
        self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=message))

    def check(self) -> None:
        """Raise the errors that were collected, all at once."""
        if self.errors:
            told = [f"{error.name}: {error.message}" for error in self.errors[:_DETAILED]]
            more = ["and more, see `errors`"] if len(self.errors) > _DETAILED else []
            raise ProblemError(
                "invalid_parameter", "; ".join(told + more), errors=tuple(self.errors), members=self.members
            )


def parse_page_request(query: str, *, now_us: int, horizon_us: int, max_window_days: int) -> PageRequest:
    """Read the parameters of a page from the query string; relative times count from `now_us`.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong.
    """
    given = _Parameters(query, PAGE_PARAMETERS)
    cursor = given.text("cursor")
    order = given.value("order", _one_of("asc", "desc"), "")
    page = PageRequest(
        window=_window(given, now_us, horizon_us, max_window_days),
        cursor=cursor,
        descending=order == "desc" if order else None,
        limit=given.value("limit", _limit, DEFAULT_LIMIT),
        format=given.value("format", _format, None),
    )
    given.check()
    return page


def parse_versions(query: str) -> bool:
    """Read the parameters of a look-up by id; return whether all versions are asked for.

    Raises:
        ProblemError: `invalid_parameter`, naming every parameter that is wrong.
    """
    given = _Parameters(query, RECORD_PARAMETERS)
    versions = given.value("versions", _one_of("latest", "all"), "latest")
    given.check()
    return versions == "all"


def parse_nothing(query: str) -> None:
    """Check that there are no parameters.

    Raises:
        ProblemError: `invalid_parameter`, naming those there are.
    """
    names = [name[:_SHOWN_LENGTH] for name, _ in parse_qsl(query, keep_blank_values=True)]
    if names:
        errors = tuple(FieldError(name=name, message="there are no parameters here") for name in names[:_MAX_ERRORS])
        told = ", ".join(names[:_DETAILED]) + (", …" if len(names) > _DETAILED else "")
        raise ProblemError("invalid_parameter", f"there are no parameters here, not {told}", errors=errors)


def _window(given: _Parameters, now_us: int, horizon_us: int, max_window_days: int) -> Window:
    """Resolve the window: relative times become instants, and it ends at the settled horizon at the latest."""
    if given.text("cursor") is not None:
        for name in ("since", "until"):
            if given.text(name) is not None:
                given.refuse(name, "the cursor carries the window; leave this out, or the cursor")
        return Window(now_us, now_us)
    seen = len(given.errors)
    since_us = given.value("since", lambda text: parse_instant(text, now_us), clamp(now_us - HOUR_US))
    asked_us = given.value("until", lambda text: parse_instant(text, now_us), None)
    if len(given.errors) > seen:
        return Window(now_us, now_us)
    if asked_us is not None and since_us > asked_us:
        default = "" if given.text("since") is not None else " (by default an hour ago)"
        given.refuse("since", f"{to_text(since_us)}{default} is later than until, {to_text(asked_us)}")
        return Window(now_us, now_us)
    until_us = max(since_us, horizon_us if asked_us is None else min(asked_us, horizon_us))
    longest_us = max_window_days * DAY_US
    if until_us - since_us > longest_us:
        given.members["max_window_days"] = max_window_days
        message = f"a window spans at most {max_window_days} days; with this since, end it there or earlier"
        given.refuse("until", message, to_text(clamp(since_us + longest_us)))
    return Window(since_us, until_us)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {' or '.join(words)}")
        return text

    return parse


def _format(text: str) -> Format | None:
    return "ndjson" if _one_of("json", "ndjson")(text) == "ndjson" else "json"


def _limit(text: str) -> int:
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(f"expected a whole number from 1 to {MAX_LIMIT}")
    if text.startswith("-") or not text.strip("0"):
        raise ValueError("at least 1")
    digits = text.lstrip("0")
    return MAX_LIMIT if len(digits) > 9 else min(int(digits), MAX_LIMIT)
