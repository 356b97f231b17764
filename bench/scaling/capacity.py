"""The tables of docs/operations.md about capacity and cost, reckoned from measured figures and list prices.

Measured is what a push costs one processor, and what telemetry adds (bench/results/ingest.json, telemetry.json); what a
row comes to is asked of the code; prices are those of bench/scaling/prices.py. What is assumed stands in capital
letters below, and in the document.
"""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.ingest.appender import SinkState
from app.ingest.proto_rows import RowEncoder
from app.record import Record
from app.schema.table import records_table
from app.telemetry.instruments import CATALOGUE
from bench.documents import between_marks
from bench.places import RESULTS, ROOT
from bench.scaling import prices

DOCUMENT = ROOT / "docs" / "operations.md"
ALERTS = ROOT / "infra" / "terraform" / "monitoring" / "alerts.json"

RATES_PER_S = (10, 100, 1_000, 5_000)
MESSAGE_BYTES = 1_000
USED = 0.6  # of a processor, so that a burst finds room and a lost instance can be made up for
MIN_INSTANCES, VCPUS, MEMORY_GIB = 1, 1, 1
ACK_S = 0.1  # what BigQuery takes to acknowledge, at the slow end of what is reported
TRACE_RATIO, TRACES_PER_S, SPANS = 0.01, 20, 2  # SLUICE_TRACE_RATIO, SLUICE_MAX_TRACES_PER_S; a push and its append
METRICS_EVERY_S, HEARTBEAT_EVERY_S = 60, 60
PAGE_EVERY_S, PAGE_QUERIES, WAIT_EVERY_S = 30, 5, 5  # the page at `/` over BigQuery; SLUICE_POLL_S
LOG_LINES_A_DAY, LOG_LINE_BYTES, REQUEST_LOG_BYTES = 1_000, 500, 1_000
QUERY_BYTES = 10_000_000  # what BigQuery bills for a small query of one table
SYSTEMS = 50
_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_S, DAY_S, MILLION = 30 * 86_400, 86_400, 1_000_000
_ROUTES = 12  # series of a busy instance's answers: routes, methods and statuses that occur
_STATES = 2 * len(SinkState)
SERIES = {
    "sluice.record.rejected": 3,
    "sluice.append.duration": 3,
    "sluice.append.rows": 2,
    "sluice.append.size": 2,
    "sluice.append.connections": 2,
    "sluice.sink.state": _STATES,
    "sluice.sink.oldest_wait": 2,
    "http.server.request.duration": _ROUTES,
    "sluice.query.duration": 3,
    "sluice.query.bytes_processed": 3,
    "sluice.cache.answers": 5,
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
    encoder = RowEncoder(records_table(Record))
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


def metric_bytes() -> int:
    """Return the bytes that one instance's metrics are billed as, each time they are sent."""
    series = ((each, SERIES[each.name] if each.attributes else 1) for each in CATALOGUE)
    return sum(count * (80 if each.kind == "histogram" else 8) for each, count in series)


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
        "metrics": prices.METRIC_BYTE.of(count * metric_bytes() * MONTH_S / METRICS_EVERY_S),
        "log": prices.LOGGED_BYTE.of(count * LOG_LINES_A_DAY * LOG_LINE_BYTES * MONTH_S / DAY_S),
        "heartbeats": beats * beat + prices.JOB_MONTH.of(1),
    }


def capacity() -> list[str]:
    """Return what each rate wants."""
    lines = _head("messages/s", "processors used", "instances", "in flight", "compute, $ a month", "messages a month")
    for rate in RATES_PER_S:
        lines.append(
            _row(
                f"{rate:,}",
                f"{rate * cpu_s_of_a_push():.3f}",
                str(instances(rate)),
                f"{rate * ACK_S:,.0f}",
                f"{compute_dollars(rate, MONTH_S):,.0f}",
                f"{rate * MONTH_S / 1e6:,.0f} million",
            )
        )
    return lines


def cost() -> list[str]:
    """Return what a million messages cost."""
    items = list(transport_dollars(1))
    lines = _head(
        "messages/s", *items, "compute", "sum, $ per million", "$ a month", "keeping them, $ per million and month"
    )
    for rate in RATES_PER_S:
        parts = [*transport_dollars(MILLION).values(), compute_dollars(rate, MILLION / rate)]
        month = sum(parts) * rate * MONTH_S / MILLION
        kept = prices.STORED_BYTE_MONTH.of(MILLION * row_bytes())
        lines.append(
            _row(f"{rate:,}", *(f"{part:.3f}" for part in parts), f"{sum(parts):.3f}", f"{month:,.0f}", f"{kept:.3f}")
        )
    return lines


def looking() -> list[str]:
    """Return what a month of looking costs, and what part that is of the whole."""
    lines = _head("messages/s", *looking_dollars(1), "sum, $ a month", "of the system's cost")
    for rate in RATES_PER_S:
        parts = looking_dollars(rate)
        system = sum(transport_dollars(rate * MONTH_S).values()) + compute_dollars(rate, MONTH_S)
        total = sum(parts.values())
        shown = (f"{part:,.2f}" for part in parts.values())
        lines.append(_row(f"{rate:,}", *shown, f"{total:,.2f}", f"{total / system * 100:.0f} %"))
    return lines


def aside() -> list[str]:
    """Return what is paid by other measures than messages."""
    alerts = json.loads(ALERTS.read_text())
    runs = sum(MONTH_S / int(alert["evaluation_interval"].removesuffix("s")) for alert in alerts)
    requests = prices.LOGGED_BYTE.of(MILLION * REQUEST_LOG_BYTES)
    small = prices.QUERIED_BYTE.of(QUERY_BYTES) * 3_600
    lines = _head("what", "$")
    lines += [
        _row(
            f"alerts, {len(alerts)} conditions, a month, for {count} system{'s' if count > 1 else ''}", f"{dollars:.2f}"
        )
        for count, dollars in (
            (count, prices.CONDITION_MONTH.of(len(alerts)) + prices.SERIES_RETURNED.of(runs * count))
            for count in (1, SYSTEMS)
        )
    ]
    lines.append(_row("the platform's log of a million pushes, where it is not excluded", f"{requests:.2f}"))
    page = f"the page at `/`, open for an hour over BigQuery ({PAGE_QUERIES} small queries every {PAGE_EVERY_S} s)"
    lines.append(_row(page, f"{small * PAGE_QUERIES / PAGE_EVERY_S:.3f}"))
    wait = f"a reader that waits for an hour, or all readers of one tail (a small query every {WAIT_EVERY_S} s)"
    lines.append(_row(wait, f"{small / WAIT_EVERY_S:.3f}"))
    return lines


def assumed() -> list[str]:
    """Return what the tables rest on."""
    machine = measured("ingest")["machine"]
    return [
        f"- Measured: a push of 1 KB under load takes {push_us() / 1_000:.3f} ms of one processor, token, checks and "
        f"acknowledged append included ({machine['cpus']} processors, {machine['machine']}, "
        f"Python {machine['python']}; `make bench-ingest`), BigQuery being played by a local server "
        f"without encryption; and {cost_of_telemetry():.2f} times that with metrics, logs and 1 % of the traces on. "
        "A vCPU of Cloud Run may be slower: measure there before you rely on it.",
        f"- A row of it comes to {row_bytes():,} bytes, its envelope included. An instance has {VCPUS} vCPU and "
        f"{MEMORY_GIB} GiB, is billed by instance, and is used to {USED * 100:.0f} %; there is always one.",
        f"- In flight: at {ACK_S * 1_000:.0f} ms an acknowledgement. A month has 30 days.",
        f"- Prices are list prices of {prices.DATED}, nothing free and no discount taken off "
        "([bench/scaling/prices.py](../bench/scaling/prices.py) has each with its source).",
        f"- An instance's metrics are billed as {metric_bytes():,} bytes every {METRICS_EVERY_S} s. Of "
        f"{TRACE_RATIO * 100:.0f} % of the messages {SPANS} spans are kept. A heartbeat every "
        f"{HEARTBEAT_EVERY_S} s costs a query of {QUERY_BYTES / 1e6:.0f} MB each. "
        f"The service writes some {LOG_LINES_A_DAY:,} lines a day.",
    ]


TABLES: dict[str, Callable[[], list[str]]] = {
    "assumed": assumed,
    "capacity": capacity,
    "cost": cost,
    "looking": looking,
    "aside": aside,
}


def with_tables(text: str) -> str:
    """Return the document with its tables made anew.

    Raises:
        ValueError: the document has no place for a table.
    """
    for name, make in TABLES.items():
        text = between_marks(text, name, "by bench/scaling", make())
    return text


def _head(*names: str) -> list[str]:
    return [_row(*names), _row(*("---" for _ in names))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
