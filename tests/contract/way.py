"""A record type's whole way: JSON bytes -> validated -> embedded store -> rows -> served JSON."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.clock import FakeClock
from app.embedded import EmbeddedStore
from app.ingest.appender import Outcome
from app.ingest.envelope import Message
from app.ingest.records import Limits, RecordReader
from app.ingest.rejects import Reject
from app.query.formats import RowFormat
from app.query.runner import Query
from app.schema.table import records_table

_LIMITS = Limits(
    max_decompressed_bytes=2**24,
    max_records_per_message=1_000,
    max_record_bytes=2**22,
    max_message_bytes=2**26,
    max_row_bytes=2**23,
)


class Way:
    """A store in memory with the table of one record type, and what leads there and back."""

    def __init__(self, record_type: type[msgspec.Struct]) -> None:
        self.table = records_table(record_type)
        self._store = EmbeddedStore.open(":memory:", [self.table], FakeClock())
        self._appender = self._store.appender(self.table)
        self._reader = RecordReader(self.table, self._appender.encode, _LIMITS)
        self._format = RowFormat(self.table.columns)
        self._numbers = itertools.count(1)

    def read(self, payload: bytes) -> tuple[list[bytes], list[Reject]]:
        """Return the encoded rows and the rejects of a message of NDJSON."""
        rows, rejects = self._reader.read(self._message(payload))
        return [row.encoded for row in rows], rejects

    def _message(self, payload: bytes) -> Message:
        number = str(next(self._numbers))
        return Message(key=f"{number}:0", data=payload, content_type="application/x-ndjson", message_id=number)

    def there(self, payloads: Sequence[bytes]) -> tuple[Outcome, list[dict[str, Any]]]:
        """Send records in one message and return what became of it, and the rows that are stored."""
        message = self._message(b"\n".join(payloads))
        rows, rejects = self._reader.read(message)
        assert not rejects, rejects[0].detail
        sql = "SELECT * FROM records WHERE message_id = @message_id ORDER BY message_index"

        async def run() -> tuple[Outcome, list[dict[str, Any]]]:
            outcome = await self._appender.append([row.encoded for row in rows])
            return outcome, await self._store.rows(Query(sql=sql, parameters={"message_id": message.message_id}))

        return asyncio.run(run())

    def served(self, row: dict[str, Any]) -> dict[str, str]:
        """Serve a row, and return the JSON of each column."""
        members = msgspec.json.decode(self._format.record(row), type=dict[str, msgspec.Raw])
        return {name: bytes(raw).decode() for name, raw in members.items()}

    def back(self, row: dict[str, Any]) -> msgspec.Struct:
        """Read the record in what is served of a row, as a consumer would."""
        served = self.served(row)
        own = {column.name: msgspec.Raw(served[column.name].encode()) for column in self.table.record}
        return msgspec.json.decode(msgspec.json.encode(own), type=self.table.record_type)

    def close(self) -> None:
        """Give the store's threads back."""
        self._store.close()


def exact(value: Any) -> Any:
    """Return `value` in a form whose equality is exact: by type, with the sign of zero, instants in UTC."""
    match value:
        case msgspec.Struct():
            return [(name, exact(getattr(value, name))) for name in value.__struct_fields__]
        case float():
            return ("float", value.hex())
        case datetime():
            return ("instant", value.astimezone(UTC))
        case list() | dict():
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return [(type(value).__name__, key, exact(item)) for key, item in items]
        case _:
            return (type(value).__name__, value)
