"""A record type's whole way: JSON bytes -> validated -> stored -> rows -> served JSON."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.query.answer.encoders import ServedRows
from app.schema.columns import Kind
from app.schema.table import records_table
from app.stores.query import Condition
from app.stores.sink import Outcome
from tests.contract.gaps import mended
from tests.contract.stores import Engine, every_row
from tests.ingest.reading import read_message
from tests.schema.reading import ROOMY


class Way:
    """A store with the table of one record type, and what leads there and back."""

    def __init__(self, engine: Engine, record_type: type[msgspec.Struct]) -> None:
        self.engine, self.table = engine, records_table(record_type)
        self._store = engine.loop.run(engine.open([self.table]))
        self._appender = self._store.appender(self.table)
        self._reader = RecordReader(self.table, self._appender.encoder, ROOMY)
        self._served = ServedRows(self.table.columns)
        self._numbers = itertools.count(1)

    def there(self, payloads: Sequence[bytes]) -> tuple[Outcome, list[dict[str, Any]]]:
        """Send records in one message and return what became of it, and the rows that are stored."""
        number = str(next(self._numbers))
        ndjson = b"\n".join(payloads)
        message = Message(key=f"{number}:0", data=ndjson, content_type="application/x-ndjson", message_id=number)
        rows, rejects = read_message(self._reader, message)
        assert not rejects, rejects[0].detail
        sent = Condition("message_id", (), "eq", Kind.STRING, (number,))

        async def run() -> tuple[Outcome, list[dict[str, Any]]]:
            outcome = await self._appender.append([row.encoded for row in rows])
            found = await every_row(self._store.runner, self.table, sent)
            return outcome, sorted(found, key=lambda row: row["message_index"])

        outcome, stored = self.engine.loop.run(run())
        if self.engine.name == "bigquery":
            stored = [mended(self.table.columns, row) for row in stored]
        return outcome, stored

    def served(self, row: dict[str, Any]) -> dict[str, str]:
        """Serve a row, and return the JSON of each column."""
        (shown,) = self._served.of([row])
        members = msgspec.json.decode(msgspec.json.encode(shown), type=dict[str, msgspec.Raw])
        return {name: bytes(raw).decode() for name, raw in members.items()}

    def back(self, row: dict[str, Any]) -> msgspec.Struct:
        """Read the record in what is served of a row, as a consumer would."""
        served = self.served(row)
        own = {column.name: msgspec.Raw(served[column.name].encode()) for column in self.table.record}
        return msgspec.json.decode(msgspec.json.encode(own), type=self.table.record_type)

    def close(self) -> None:
        self.engine.loop.run(self._store.close())


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
