"""Collect the parameters of a request and all their errors, to report them together."""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from app.http.contract import Parameter
from app.http.problems import FieldError, ProblemError
from app.query.params.filters import FilterError, filterable, parse_filter
from app.schema.filters import FilterField
from app.stores.query import Condition

_SHOWN_LENGTH = 100  # of a caller's own text, in an error
_MAX_ERRORS = 20  # in one answer
_DETAILED = 3  # of them in `detail`
_MAX_FILTERS = 20
_COMPARISON = re.compile(r"(?P<path>[^<>=!]+)(?P<sign>[<>!])(?P<value>.*)", re.DOTALL)
_ENDINGS = {">": "gt", "<": "lt", "!": "ne"}
_AFTER_CURSOR = "pages follow each other by cursors: repeat the request with the next_cursor of the page as `cursor`"
# What other APIs call it.
_ELSEWHERE = {
    "sort": "the parameter is `order`: asc or desc, by the time when records were stored",
    "offset": _AFTER_CURSOR,
    "page": _AFTER_CURSOR,
    "ingest_time": "the window on ingest_time is `since` and `until`",
}


class Parameters:
    """The parameters of one request: the `known` ones, and filters on `fields`."""

    def __init__(
        self, query: str, known: Mapping[str, Parameter], fields: Mapping[str, FilterField] | None = None
    ) -> None:
        self._known, self._fields = known, fields or {}
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
            self._refuse_unknown(name, text)
        elif len(self.conditions) == _MAX_FILTERS:
            self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=f"more than {_MAX_FILTERS} filters"))
        else:
            self.conditions.append(condition)

    def _refuse(self, error: FieldError) -> None:
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(error)

    def _refuse_unknown(self, name: str, text: str) -> None:
        hint = _ELSEWHERE.get(name.partition(".")[0]) or _written_with_a_sign(name, text)
        if hint:
            self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=f"there is no such parameter; {hint}"))
            return
        close = difflib.get_close_matches(name[:_SHOWN_LENGTH], [*self._known, *self._fields], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        filters = filterable(self._fields)
        filters_text = f"; filters are on {', '.join(filters)}" if filters else ""
        message = f"there is no such parameter; {hint}The parameters are {', '.join(self._known)}{filters_text}"
        self._refuse(FieldError(name=name[:_SHOWN_LENGTH], message=message))


def _written_with_a_sign(name: str, text: str) -> str | None:
    """Return how to write a comparison such as `total>5`, which arrives as a name, or `total>=5`, as `total>` and 5."""
    found = _COMPARISON.fullmatch(name[:_SHOWN_LENGTH])
    if found is None:
        return None
    has_equal = bool(text) and not found["value"]
    ending = _ENDINGS[found["sign"]] + ("e" if has_equal and found["sign"] != "!" else "")
    return f"write the comparison as {found['path']}.{ending}={_shown(text if has_equal else found['value'])}"


def parse_nothing(query: str) -> None:
    """Check that there are no parameters.

    Raises:
        ProblemError: `invalid_parameter`, naming those there are.
    """
    names = [name[:_SHOWN_LENGTH] for name, _ in parse_qsl(query, keep_blank_values=True)]
    if names:
        errors = tuple(FieldError(name=name, message="the endpoint has no parameters") for name in names[:_MAX_ERRORS])
        listing = ", ".join(names[:_DETAILED]) + (", …" if len(names) > _DETAILED else "")
        raise ProblemError("invalid_parameter", f"the endpoint has no parameters; remove {listing}", errors=errors)


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
