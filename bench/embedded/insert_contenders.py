"""The ways for a batch to travel to DuckDB, each with its encoding and its durable insert."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from app.ingest.envelope import Message
from app.record import Record
from app.runtime.clock import SystemClock
from app.schema.columns import Kind
from app.schema.table import records_table
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Stored

RECORDS = records_table(Record)
_SHEET = {Kind.STRING: "string", Kind.JSON: "string", Kind.TIMESTAMP: "timestamp[us]", Kind.INT64: "int64"}
_COLUMNS = [column for column in RECORDS.columns if column.name != "ingest_time"]
NAMES = ", ".join(column.name for column in _COLUMNS)

Pair = tuple[Record, Message]


class Json:
    """The service's own appender."""

    def __init__(self, path: Path) -> None:
        self._appender = EmbeddedStore.open(str(path), [RECORDS], SystemClock()).appender(RECORDS)

    def encode(self, pairs: Sequence[Pair]) -> list[bytes]:
        """Encode each record with its envelope, as the pipeline does of messages of one record."""
        encoder = self._appender.encoder
        return [encoder(message.envelope())(record, 0, message.delivery_key(0)) for record, message in pairs]

    async def insert(self, batch: list[bytes]) -> None:
        """Append through the seam."""
        outcome = await self._appender.append(batch)
        if not isinstance(outcome, Stored):
            raise SystemExit(f"the append came to {outcome}")


class _Direct(ABC):
    """What the other two share: a connection, and the one thread that a store would block instead of the loop."""

    def __init__(self, path: Path) -> None:
        EmbeddedStore.open(str(path), [RECORDS], SystemClock()).close()
        self._connection = duckdb.connect(str(path))
        self._thread = ThreadPoolExecutor(1)
        self._clock = SystemClock()

    async def insert(self, batch: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, batch)

    @abstractmethod
    def _insert(self, batch: Any) -> None:
        """Insert `batch` in one transaction; called in the thread."""


class Arrow(_Direct):
    """A table of Arrow arrays, which DuckDB scans where they are."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only this contender is to pay for it

        super().__init__(path)
        self._pa = pa
        types = [(column.name, pa.type_for_alias(_SHEET[column.kind])) for column in _COLUMNS]
        self._schema = pa.schema(types)

    def encode(self, pairs: Sequence[Pair]) -> Any:
        """Turn the rows into columns, and those into arrays."""
        columns = list(zip(*(_values(record, message) for record, message in pairs), strict=True))
        arrays = [self._pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        return self._pa.Table.from_arrays(arrays, schema=self._schema)

    def _insert(self, batch: Any) -> None:
        self._connection.register("batch", batch)
        self._connection.execute(
            f"INSERT INTO records ({NAMES}, ingest_time) SELECT {NAMES}, make_timestamp($us::BIGINT) FROM batch",  # noqa: S608 - the declaration's own names
            {"us": self._clock.now_us()},
        )
        self._connection.unregister("batch")


class Executemany(_Direct):
    """The DB-API's way."""

    def encode(self, pairs: Sequence[Pair]) -> list[tuple[Any, ...]]:
        """Make a tuple of each row."""
        return [_values(record, message) for record, message in pairs]

    def _insert(self, batch: list[tuple[Any, ...]]) -> None:
        stamp_us = self._clock.now_us()
        marks = ", ".join("?" * len(_COLUMNS))
        sql = f"INSERT INTO records ({NAMES}, ingest_time) VALUES ({marks}, make_timestamp({stamp_us}))"  # noqa: S608 - names and a number
        self._connection.begin()
        self._connection.executemany(sql, batch)
        self._connection.commit()


MAKERS: dict[str, Callable[[Path], Any]] = {"json": Json, "arrow": Arrow, "executemany": Executemany}
_json = msgspec.json.Encoder()


def _values(record: Record, message: Message) -> tuple[Any, ...]:
    """Return the row's values in the order of the columns; instants are naive and in UTC."""
    envelope = message.envelope()
    return (
        record.id,
        record.timestamp.astimezone(UTC).replace(tzinfo=None),
        record.source,
        _json.encode(record.data).decode(),
        envelope["subscription_name"],
        envelope["message_id"],
        envelope["publish_time"].astimezone(UTC).replace(tzinfo=None),
        _json.encode(envelope["attributes"]).decode(),
        envelope["ordering_key"],
        0,
        message.delivery_key(0),
        envelope["trace_id"],
    )


def records(count: int) -> list[Pair]:
    """Return `count` default records as Pub/Sub would deliver them, one a message."""
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    pairs = []
    for number in range(count):
        when = start + timedelta(microseconds=number * 997)
        data = {"total": number / 4, "currency": "EUR", "items": [{"sku": f"sku-{number % 100}", "quantity": 2}]}
        message = Message(
            key=f"{10**15 + number}:{number}",
            data=b"",
            attributes={"kind": "order", "region": "europe-west1"},
            subscription_name="projects/a-project/subscriptions/sluice-push",
            message_id=str(10**15 + number),
            publish_time=when,
            trace_id=f"{number:032x}",
        )
        pairs.append((Record(id=f"order-{number}", timestamp=when, source="checkout", data=data), message))
    return pairs
