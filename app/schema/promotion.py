"""Which columns can be promoted: a column that reads the rest's member of its name where it has no value. Pure.

Rows from before the column was declared hold the member in their rest, and so do rows of older images and rows that
were stored while the table lacked the column (docs/record-types.md).
"""

from app.schema.columns import PII, Column, Kind, Mode, Role, flat
from app.schema.refusals import Faults

MOST = 20
"""How many columns a type may promote: the SQL that reads the rest grows with each."""
_KINDS = frozenset({Kind.BOOL, Kind.INT64, Kind.FLOAT64, Kind.STRING, Kind.TIMESTAMP})
"""Both stores convert a JSON value to these as ingest does."""


def refuse_unpromotable(columns: tuple[Column, ...], path: str, faults: Faults) -> None:
    """Add to `faults`, below `path`, each column with the role `promoted` that cannot have it."""
    keeps = any(Role.REST in column.roles for column in columns)
    for below, column in flat(columns):
        if Role.PROMOTED not in column.roles:
            continue
        if "." in below:
            faults.add(f"{path}.{below}", "only a field of the record type itself can be promoted; remove the role")
        elif not keeps:
            faults.add(f"{path}.{below}", "there is no rest to promote it from; declare a field with the role rest")
        else:
            for reason in _reasons(column):
                faults.add(f"{path}.{below}", reason)
    promoted = [column for column in columns if Role.PROMOTED in column.roles]
    if len(promoted) > MOST:
        faults.add(
            path,
            f"{len(promoted)} fields are promoted, and every query of the rest grows with each; at most {MOST} can "
            "be: remove the role where no record in the table needs it any more",
        )


def _reasons(column: Column) -> list[str]:
    reasons = list[str]()
    if column.kind not in _KINDS or column.is_uuid or column.mode is Mode.REPEATED:
        reasons.append(
            "only bool, int, float, str and datetime can be promoted; remove the role: the field begins with its "
            "column, and older records keep the member in their rest"
        )
    elif column.mode is Mode.REQUIRED:
        reasons.append("a promoted field must be optional, because older records may lack it; use … | None")
    if roles := sorted(role.value for role in column.roles & PII):
        reasons.append(
            f"older records hold the value in their rest, where {', '.join(roles)} does not apply; remove the role "
            "promoted, and erase those records"
        )
    return reasons
