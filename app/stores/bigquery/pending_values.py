"""Values of promoted columns that the table lacks, moved into the rest of their row. Pure.

A row that uses such a column need not wait: a reader of the type finds the value in the rest, as in rows from before
the column was declared (app.stores.sql.promoted_values). In the rest it is the JSON that a producer could have sent.
"""

import math
from typing import Any

import msgspec

from app.runtime.instants import to_text
from app.schema.columns import Kind
from app.schema.table import Table

_Rest = dict[str, msgspec.Raw]
_read_rest = msgspec.json.Decoder(_Rest).decode


class PendingValues:
    """Moves values in the rows of one table, which are messages of its descriptor (app.stores.bigquery.proto_rows)."""

    def __init__(self, table: Table, message: Any) -> None:
        self._rest = "" if table.rest is None else table.rest.name
        self._promoted = {column.name: column.kind for column in table.promoted}
        self._message = message

    def movable(self, lacking: frozenset[str]) -> frozenset[str]:
        """Return the columns among `lacking` whose values can be moved: none if the table lacks the rest itself."""
        return frozenset() if self._rest in lacking else lacking & self._promoted.keys()

    def moved(self, row: bytes, names: frozenset[str]) -> bytes | None:
        """Return `row` with its values for these columns in its rest; None if one cannot be moved.

        A member has that name already if a type's `upgrade` declares it and leaves it in the rest. JSON has no text for
        a number that is not finite.
        """
        message = self._message.FromString(row)
        fields = [(field.name, value) for field, value in message.ListFields() if field.name in names]
        if not fields:
            return row
        rest: _Rest = _read_rest(getattr(message, self._rest) or "{}")
        for name, value in fields:
            if name in rest or (isinstance(value, float) and not math.isfinite(value)):
                return None
            is_instant = self._promoted[name] is Kind.TIMESTAMP
            rest[name] = msgspec.Raw(msgspec.json.encode(to_text(value) if is_instant else value))
            message.ClearField(name)
        setattr(message, self._rest, msgspec.json.encode(rest).decode())
        encoded: bytes = message.SerializePartialToString()
        return encoded
