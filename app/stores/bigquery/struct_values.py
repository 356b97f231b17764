"""Take the values of a record and its envelope, by the columns' names: as a dictionary, or as a call's arguments. Pure.

Written out as an expression, one item for each column, and compiled once for a table: a loop over the columns costs
twice as much, and there is one of these for every record.
"""

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from app.schema.columns import Column

Convert = Callable[[Any], Any]
"""Makes the row's value of the Struct's."""
Converters = Mapping[str, Convert]
"""By the column's name; a column without one is taken as it is. None stays None."""


def values_reader(columns: tuple[Column, ...], converters: Converters) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """Return what reads the values of `columns` of a Struct."""
    written = _Written()
    items = [f"{name!r}: {value}" for name, value in written.of_struct("record", columns, converters).items()]
    return written.compiled(f"lambda record: {{{', '.join(items)}}}")


class RowMakers:
    """Calls the class of a row's message with the values of a record, of an envelope (a mapping by name), or of both.

    One call with all of its arguments named, so that no dictionaries are made of parts of them on the way.
    """

    def __init__(
        self, record: tuple[Column, ...], envelope: Iterable[str], own: Iterable[str], converters: Converters
    ) -> None:
        """Write them for the columns of a record, those of the envelope, and those that are a row's `own`."""
        written = _Written()
        of_record = written.of_struct("record", record, converters)
        of_envelope = written.of_items("envelope", envelope, converters)
        row = {name: name for name in own}
        known = ", ".join(["new", "record", *row])
        self.whole: Callable[..., Any] = written.call(f"{known}, envelope", {**of_record, **of_envelope, **row})
        """Of the message class, the record, the row's own values in their order, and the envelope."""
        self.without_envelope: Callable[..., Any] = written.call(known, {**of_record, **row})
        """Of the same, but the envelope."""
        self.envelope: Callable[..., Any] = written.call("new, envelope", of_envelope)
        """Of the message class and the envelope."""


class _Written:
    """Expressions, and what they call."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {"__builtins__": {"getattr": getattr}}

    def of_struct(self, source: str, columns: tuple[Column, ...], converters: Converters) -> dict[str, str]:
        """Return the expression of each column of a Struct."""
        accesses = {column.name: _access(source, column.attribute) for column in columns}
        return {name: self._converted(access, converters.get(name)) for name, access in accesses.items()}

    def of_items(self, source: str, names: Iterable[str], converters: Converters) -> dict[str, str]:
        """Return the expression of each of these names of a mapping that has them all."""
        return {name: self._converted(f"{source}[{name!r}]", converters.get(name)) for name in names}

    def call(self, parameters: str, values: Mapping[str, str]) -> Callable[..., Any]:
        """Return what calls its first parameter, `new`, with these values by name."""
        named = [f"{name}={value}" for name, value in values.items() if _is_plain(name)]
        others = [f"{name!r}: {value}" for name, value in values.items() if not _is_plain(name)]
        arguments = [*named, *([f"**{{{', '.join(others)}}}"] if others else [])]
        return self.compiled(f"lambda {parameters}: new({', '.join(arguments)})")

    def compiled(self, expression: str) -> Callable[..., Any]:
        """Return what an expression is."""
        made: Callable[..., Any] = eval(expression, self._known)  # noqa: S307 - of a declaration's names, quoted or identifiers
        return made

    def _converted(self, access: str, convert: Convert | None) -> str:
        if convert is None:
            return access
        name = f"convert{len(self._known)}"
        self._known[name] = convert
        return f"None if (value := {access}) is None else {name}(value)"


def _access(source: str, attribute: str) -> str:
    return f"{source}.{attribute}" if _is_plain(attribute) else f"getattr({source}, {attribute!r})"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name != "__debug__"
