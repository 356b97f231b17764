"""Take the values of a Struct as a dictionary, by the columns' names. Pure.

Written out as an expression, one item for each column, and compiled once for a table: a loop over the columns costs
twice as much, and there is one of these for every record.
"""

import keyword
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.schema.columns import Column

Convert = Callable[[Any], Any]
"""Makes the row's value of the Struct's."""


def values_reader(
    columns: tuple[Column, ...], converters: Mapping[str, Convert]
) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """Return what reads the values of `columns`, through the `converters` by name; None stays None."""
    known: dict[str, Any] = {"__builtins__": {"getattr": getattr}}
    items = []
    for number, column in enumerate(columns):
        value = _access(column.attribute)
        if column.name in converters:
            known[f"convert{number}"] = converters[column.name]
            value = f"None if (value := {value}) is None else convert{number}(value)"
        items.append(f"{column.name!r}: {value}")
    source = f"lambda struct: {{{', '.join(items)}}}"
    reader: Callable[[msgspec.Struct], dict[str, Any]] = eval(source, known)  # noqa: S307 - of names of a declaration, quoted
    return reader


def _access(attribute: str) -> str:
    plain = attribute.isidentifier() and not keyword.iskeyword(attribute)
    return f"struct.{attribute}" if plain else f"getattr(struct, {attribute!r})"
