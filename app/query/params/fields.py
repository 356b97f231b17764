"""`fields=id,aircraft.seats`: which columns are served, and of a STRUCT, which of its fields."""

from collections.abc import Sequence

import msgspec

from app.schema.columns import Column

_MAX_FIELDS = 200


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
    """Return the columns that `paths` name, below the field `outer`."""
    known = {column.name: column for column in columns}
    below: dict[str, list[list[str]]] = {}
    for name, *rest in paths:
        if name not in known:
            raise ValueError(f"there is no field {(outer + name)[:100]!r}; there are {', '.join(known)}")
        below.setdefault(name, []).append(rest)
    found = []
    for name, rests in below.items():
        column, path = known[name], outer + name
        if [] in rests:
            if len(rests) > 1:
                raise ValueError(f"{path} is listed more than once")
            found.append(column)
        elif not column.fields:
            raise ValueError(f"{path} has no fields of its own; list it as a whole")
        else:
            found.append(msgspec.structs.replace(column, fields=_chosen(column.fields, rests, f"{path}.")))
    return tuple(found)
