"""What a rate of messages wants and costs, reckoned from measured figures and list prices.

Measured is what a push costs one processor, and what telemetry adds (bench/results/ingest.json, telemetry.json); what a
row comes to is asked of the code; prices are those of bench/scaling/prices.py. What is assumed stands in capital
letters below, and in the documents.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.sink import SinkState
from app.telemetry.instruments import CATALOGUE
from bench.places import RESULTS
from bench.scaling import prices

MESSAGE_BYTES = 1_000
USED = 0.6  # of a processor, so that a burst finds room and a lost instance can be made up for
MIN_INSTANCES, VCPUS, MEMORY_GIB = 1, 1, 1
ACK_S = 0.1  # what BigQuery takes to acknowledge, at the slow end of what is reported
TRACE_RATIO, TRACES_PER_S, SPANS = 0.01, 20, 2  # SLUICE_TRACE_RATIO, SLUICE_MAX_TRACES_PER_S; a push and its append
METRICS_EVERY_S, HEARTBEAT_EVERY_S = 60, 60
LOG_LINES_A_DAY, LOG_LINE_BYTES = 1_000, 500
QUERY_BYTES = 10_000_000  # what BigQuery bills for a small query of one table
_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_S, DAY_S, MILLION = 30 * 86_400, 86_400, 1_000_000
_ROUTES = 12  # series of a busy instance's answers: routes, methods and statuses that occur
_STATES = 2 * len(SinkState)
SERIES = {
    "sluice_message_stored_delay_seconds": 1,  # one type is one stream
    "sluice_record_stored_total": 1,
    "sluice_message_duplicate_total": 1,
    "sluice_record_rejected_total": 3,
    "sluice_member_undeclared_total": 1,  # a type keeps, drops or rejects them
    "sluice_append_duration_seconds": 3,
    "sluice_append_rows": 2,
    "sluice_append_size_bytes": 2,
    "sluice_row_late_total": 2,
    "sluice_row_expired_total": 0,  # of the embedded store only
    "sluice_append_connections": 2,
    "sluice_sink_state": _STATES,
    "sluice_sink_oldest_wait_seconds": 2,
    "http_server_request_duration_seconds": _ROUTES,
    "sluice_query_duration_seconds": 3,
    "sluice_query_processed_bytes_total": 3,
    "sluice_chunk_reads_total": 5,
    "sluice_byte_budget_refusals_total": 2,
    "sluice_cache_answers_total": 5,
}
"""How many series an instance has of each metric that has attributes."""


def measured(name: str) -> dict[str, Any]:
    """Return what a measurement has found."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def cost_of_telemetry() -> float:
    """Return how many times as much processor time a push takes with telemetry on as with it off."""
    push = measured("telemetry")["push"]
    return float(push["on"]["cpu_ms_per_request"] / push["off"]["cpu_ms_per_request"])


def cpu_s_of_a_push() -> float:
    """Return the measured processor time of one push, with telemetry on."""
    return push_us() / 1e6 * cost_of_telemetry()


def push_us() -> float:
    """Return the measured processor time of one push of 1 KB under load, in microseconds (bench.ingest.compare)."""
    return float(
        next(
            cell["median"]["cpu_us_per_message"]
            for cell in measured("ingest")["cells"]
            if cell["contender"] == "sluice"  # its first case is the one: 1 KB, wrapped, one record
        )
    )


def row_bytes() -> int:
    """Return what the row of such a message comes to, its envelope included."""
    encoder = ProtoRowEncoder(records_table(Record))
    text = "x" * (MESSAGE_BYTES - 70)
    record = Record(id="order-0000001", timestamp=_INSTANT, data={"text": text})
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


def instances(rate_per_s: float) -> int:
    """Return how many instances such a rate wants."""
    return max(MIN_INSTANCES, math.ceil(rate_per_s * cpu_s_of_a_push() / USED / VCPUS))


def metric_samples() -> int:
    """Return the samples that one instance's metrics are at most, each time they are sent.

    A histogram counts with all its buckets, though Google stores no empty ones.
    """
    series = ((each, SERIES[each.name] if each.attributes else 1) for each in CATALOGUE)
    return sum(count * (len(each.bounds) + 3 if each.kind == "histogram" else 1) for each, count in series)


def transport_dollars(messages: float) -> dict[str, float]:
    """Return what so many messages cost on their way, whatever their rate."""
    return {
        "publishing": prices.PUBSUB_BYTE.of(messages * MESSAGE_BYTES),
        "delivering": prices.PUBSUB_BYTE.of(messages * MESSAGE_BYTES),
        "appending": prices.APPENDED_BYTE.of(messages * row_bytes()),
    }


def compute_dollars(rate_per_s: float, seconds: float) -> float:
    """Return what the instances for a rate cost for so long."""
    each_s = prices.VCPU_S.of(VCPUS) + prices.MEMORY_GIB_S.of(MEMORY_GIB)
    return instances(rate_per_s) * each_s * seconds


def looking_dollars(rate_per_s: float) -> dict[str, float]:
    """Return what a month of looking costs for a system of this rate."""
    count = instances(rate_per_s)
    traces_per_s = min(rate_per_s * TRACE_RATIO, TRACES_PER_S * count)
    beats = MONTH_S / HEARTBEAT_EVERY_S
    beat = prices.QUERIED_BYTE.of(QUERY_BYTES) + sum(transport_dollars(1).values())
    return {
        "traces, 1 %": prices.SPAN.of(traces_per_s * SPANS * MONTH_S),
        "metrics": prices.SAMPLE.of(count * metric_samples() * MONTH_S / METRICS_EVERY_S),
        "log": prices.LOGGED_BYTE.of(count * LOG_LINES_A_DAY * LOG_LINE_BYTES * MONTH_S / DAY_S),
        "canaries": beats * beat + prices.JOB_MONTH.of(1),
    }
