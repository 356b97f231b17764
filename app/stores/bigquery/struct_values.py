"""Read the values of a record and its envelope by column name: as a dictionary, or as call arguments. Pure.

Each reader is an expression with one item for each column, compiled once for a table. It runs for every record, and a
loop over the columns would cost twice as much.
"""

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from app.schema.columns import Column

Convert = Callable[[Any], Any]
"""Converts a Struct's value to the row's."""
Converters = Mapping[str, Convert]
"""By column name; the value of a column without a converter stays as it is. None stays None."""


def values_reader(columns: tuple[Column, ...], converters: Converters) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """Return the function that reads the values of `columns` from a Struct."""
    written = _Written()
    items = [f"{name!r}: {value}" for name, value in written.of_struct("record", columns, converters).items()]
    return written.compiled(f"lambda record: {{{', '.join(items)}}}")


class RowMakers:
    """Calls the class of a row's message with the values of a record, of an envelope (a mapping by name), or of both.

    Each is a single call with named arguments, so that no intermediate dictionaries are made.
    """

    def __init__(
        self, record: tuple[Column, ...], envelope: Iterable[str], own: Iterable[str], converters: Converters
    ) -> None:
        """Compile them for the columns of a record, those of the envelope, and those that are a row's `own`."""
        written = _Written()
        of_record = written.of_struct("record", record, converters)
        of_envelope = written.of_items("envelope", envelope, converters)
        row = {name: name for name in own}
        known = ", ".join(["new", "record", *row])
        self.whole: Callable[..., Any] = written.call(f"{known}, envelope", {**of_record, **of_envelope, **row})
        """Takes the message class, the record, the row's own values in order, and the envelope."""
        self.without_envelope: Callable[..., Any] = written.call(known, {**of_record, **row})
        """Takes the same, without the envelope."""
        self.envelope: Callable[..., Any] = written.call("new, envelope", of_envelope)
        """Takes the message class and the envelope."""


class _Written:
    """Builds expressions, and holds the converters that they call."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {"__builtins__": {"getattr": getattr}}

    def of_struct(self, source: str, columns: tuple[Column, ...], converters: Converters) -> dict[str, str]:
        """Return the expression of each column of a Struct."""
        accesses = {column.name: _access(source, column.attribute) for column in columns}
        return {name: self._converted(access, converters.get(name)) for name, access in accesses.items()}

    def of_items(self, source: str, names: Iterable[str], converters: Converters) -> dict[str, str]:
        """Return the expression of each of these names, in a mapping that has them all."""
        return {name: self._converted(f"{source}[{name!r}]", converters.get(name)) for name in names}

    def call(self, parameters: str, values: Mapping[str, str]) -> Callable[..., Any]:
        """Return a function that calls its first parameter, `new`, with these values by name."""
        named = [f"{name}={value}" for name, value in values.items() if _is_plain(name)]
        others = [f"{name!r}: {value}" for name, value in values.items() if not _is_plain(name)]
        arguments = [*named, *([f"**{{{', '.join(others)}}}"] if others else [])]
        return self.compiled(f"lambda {parameters}: new({', '.join(arguments)})")

    def compiled(self, expression: str) -> Callable[..., Any]:
        """Return the value of an expression."""
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
