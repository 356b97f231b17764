"""What records cost on their way into the table, by measured processor time and list prices."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from bench.places import RESULTS
from bench.price import prices

LOADS = ((10, 1), (100, 1), (1_000, 1), (10_000, 1), (10_000, 100), (100_000, 1), (100_000, 100), (1_000_000, 100))
"""Records a second, and how many of them are in a message."""
USED, CONCURRENCY = 0.6, 400  # of a processor, so that a burst finds room; requests of an instance, by Terraform
ACK_S = 0.1  # what BigQuery takes to acknowledge, at the slow end of what is reported
CONNECTION_BYTES_PER_S, CONNECTIONS = 10_000_000, 4  # of an instance
_RECORD_BYTES, _MONTH_S = 1_000, 30 * 86_400
_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


class IngestCost(msgspec.Struct, frozen=True):
    """What a rate of records takes and costs, `per_message` of them in each message."""

    records_per_s: int
    per_message: int
    processors: float
    instances: int
    dollars_per_million: float
    dollars_per_month: float
    stored_dollars_per_month: float
    """Of what a month adds, for each month that it is kept."""


def costs() -> list[IngestCost]:
    """Return the cost of each rate."""
    row_bytes = _row_bytes()
    return [_cost(rate, per_message, _cpu_us(per_message), row_bytes) for rate, per_message in LOADS]


def _cost(rate: int, per_message: int, cpu_us: float, row_bytes: int) -> IngestCost:
    messages_per_s, appended = rate / per_message, rate * row_bytes
    processors = messages_per_s * cpu_us / 1e6
    in_flight = messages_per_s * ACK_S  # Little's law
    wanted = (processors / USED, in_flight / CONCURRENCY, appended / (CONNECTION_BYTES_PER_S * CONNECTIONS))
    instances = max(1, math.ceil(max(wanted)))
    transport = 2 * _RECORD_BYTES * prices.PUBSUB_BYTE + row_bytes * prices.APPENDED_BYTE
    month = (rate * transport + instances * prices.INSTANCE_S) * _MONTH_S
    stored = appended * _MONTH_S * prices.STORED_BYTE_MONTH
    return IngestCost(rate, per_message, processors, instances, month / (rate * _MONTH_S) * 1e6, month, stored)


def _cpu_us(records: int) -> float:
    """Return the measured processor time of a message of so many records of 1 KB (bench.ingest.compare)."""
    cells: list[dict[str, Any]] = json.loads((RESULTS / "ingest.json").read_text())["cells"]
    usual = {"record_bytes": _RECORD_BYTES, "wrapped": True, "records": records}
    found = (cell for cell in cells if cell["contender"] == "sluice" and usual.items() <= cell["case"].items())
    return float(next(found)["median"]["cpu_us_per_message"])  # of several, the first is the usual one


def _row_bytes() -> int:
    """Return what the row of such a record comes to, its envelope included."""
    encoder = ProtoRowEncoder(records_table(Record))
    record = Record(id="order-0000001", timestamp=_INSTANT, data={"text": "x" * (_RECORD_BYTES - 70)})
    envelope = {
        "subscription_name": "projects/my-project/subscriptions/events-push",
        "message_id": "12345678901234567",
        "publish_time": _INSTANT,
        "attributes": {},
        "ordering_key": None,
        "trace_id": None,
    }
    row = encoder.encoder(envelope)(record, 0, "12345678901234567/1767225600123456/0")
    return len(row + encoder.stamp(1_767_225_600_123_456))
