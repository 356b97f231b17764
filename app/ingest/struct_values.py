"""Take the values of a record or an envelope as a dictionary, by the columns' names. Pure.

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


def values_reader(
    columns: tuple[Column, ...], converters: Mapping[str, Convert]
) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """Return what reads the values of `columns` of a Struct, through the `converters` by name; None stays None."""
    return _compiled({column.name: _access(column.attribute) for column in columns}, converters)


def items_reader(
    names: Iterable[str], converters: Mapping[str, Convert]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what reads the items of these `names` of a mapping that has them all; None stays None."""
    return _compiled({name: f"source[{name!r}]" for name in names}, converters)


def _compiled(accesses: Mapping[str, str], converters: Mapping[str, Convert]) -> Callable[[Any], dict[str, Any]]:
    known: dict[str, Any] = {"__builtins__": {"getattr": getattr}}
    items = []
    for number, (name, access) in enumerate(accesses.items()):
        value = access
        if name in converters:
            known[f"convert{number}"] = converters[name]
            value = f"None if (value := {access}) is None else convert{number}(value)"
        items.append(f"{name!r}: {value}")
    expression = f"lambda source: {{{', '.join(items)}}}"
    reader: Callable[[Any], dict[str, Any]] = eval(expression, known)  # noqa: S307 - of names of a declaration, quoted
    return reader


def _access(attribute: str) -> str:
    plain = attribute.isidentifier() and not keyword.iskeyword(attribute)
    return f"source.{attribute}" if plain else f"getattr(source, {attribute!r})"
