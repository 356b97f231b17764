"""What a query reads from where a table lacks columns of its declaration: the table, with NULL in their place. Pure.

So the rest of the statement is the same with and without them. A condition `isnull` is true and others match nothing,
a projection has the column with its type, and statistics see no value.
"""

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table


def source_text(table: Table, missing: frozenset[str]) -> str:
    """Return what to write after FROM: the table's name, or a query of it that adds the columns at the paths `missing`.

    The query is a plain projection, so conditions on the partition column still prune partitions.
    """
    if not missing:
        return f"`{table.name}`"
    added = [f"{_null(column)} AS `{column.name}`" for column in table.columns if column.name in missing]
    changed = [
        f"{_filled(column, f'`{column.name}`', column.name, missing)} AS `{column.name}`"
        for column in table.columns
        if _lacks(column.name, missing)
    ]
    everything = f"* REPLACE ({', '.join(changed)})" if changed else "*"
    return f"(SELECT {', '.join([everything, *added])} FROM `{table.name}`)"  # noqa: S608 - names of a declaration


def _lacks(path: str, missing: frozenset[str]) -> bool:
    return any(each.startswith(f"{path}.") for each in missing)


def _filled(column: Column, value: str, path: str, missing: frozenset[str], depth: int = 0) -> str:
    """Return the STRUCT, or list of STRUCTs, `value` with all declared fields."""
    is_list, item = column.mode is Mode.REPEATED, f"item{depth}"
    whole = item if is_list else value
    fields = []
    for field in column.fields:
        inner, access = f"{path}.{field.name}", f"{whole}.`{field.name}`"
        if inner in missing:
            access = _null(field)
        elif _lacks(inner, missing):
            access = _filled(field, access, inner, missing, depth + 1)
        fields.append(f"{access} AS `{field.name}`")
    built = f"STRUCT({', '.join(fields)})"
    if is_list:
        place = f"at{depth}"
        return f"ARRAY(SELECT {built} FROM UNNEST({value}) AS {item} WITH OFFSET AS {place} ORDER BY {place})"  # noqa: S608 - as above
    return f"IF({value} IS NULL, NULL, {built})"


def _null(column: Column) -> str:
    return f"CAST(NULL AS {_type(column)})"


def _type(column: Column) -> str:
    item = column.kind.value
    if column.kind is Kind.STRUCT:
        item = f"STRUCT<{', '.join(f'`{field.name}` {_type(field)}' for field in column.fields)}>"
    return f"ARRAY<{item}>" if column.mode is Mode.REPEATED else item
