"""The tables of docs/capacity.md about capacity and cost."""

from collections.abc import Callable
from functools import partial

from ruamel.yaml import YAML

from bench.documents import head, row, tables_made
from bench.places import ROOT
from bench.scaling import prices
from bench.scaling.capacity import (
    ACK_S,
    HEARTBEAT_EVERY_S,
    LOG_LINES_A_DAY,
    MEMORY_GIB,
    METRICS_EVERY_S,
    MILLION,
    MONTH_S,
    QUERY_BYTES,
    SPANS,
    TRACE_RATIO,
    USED,
    VCPUS,
    compute_dollars,
    cost_of_telemetry,
    cpu_s_of_a_push,
    instances,
    looking_dollars,
    measured,
    metric_samples,
    push_us,
    row_bytes,
    transport_dollars,
)

DOCUMENT = ROOT / "docs" / "capacity.md"
ALERTS = ROOT / "infra" / "terraform" / "monitoring" / "alerts.yaml"
RATES_PER_S = (10, 100, 1_000, 5_000)
PAGE_EVERY_S, PAGE_QUERIES, WAIT_EVERY_S = 30, 5, 5  # the page at `/` over BigQuery; SLUICE_POLL_S
REQUEST_LOG_BYTES = 1_000
SYSTEMS = 50


def wanted() -> list[str]:
    """Return what each rate wants."""
    lines = head("messages/s", "processors used", "instances", "in flight", "compute, $ a month", "messages a month")
    for rate in RATES_PER_S:
        lines.append(
            row(
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
    lines = head(
        "messages/s", *items, "compute", "sum, $ per million", "$ a month", "keeping them, $ per million and month"
    )
    for rate in RATES_PER_S:
        parts = [*transport_dollars(MILLION).values(), compute_dollars(rate, MILLION / rate)]
        month = sum(parts) * rate * MONTH_S / MILLION
        kept = prices.STORED_BYTE_MONTH.of(MILLION * row_bytes())
        lines.append(
            row(f"{rate:,}", *(f"{part:.3f}" for part in parts), f"{sum(parts):.3f}", f"{month:,.0f}", f"{kept:.3f}")
        )
    return lines


def looking() -> list[str]:
    """Return what a month of looking costs, and what part that is of the whole."""
    lines = head("messages/s", *looking_dollars(1), "sum, $ a month", "of the system's cost")
    for rate in RATES_PER_S:
        parts = looking_dollars(rate)
        system = sum(transport_dollars(rate * MONTH_S).values()) + compute_dollars(rate, MONTH_S)
        total = sum(parts.values())
        shown = (f"{part:,.2f}" for part in parts.values())
        lines.append(row(f"{rate:,}", *shown, f"{total:,.2f}", f"{total / system * 100:.0f} %"))
    return lines


def aside() -> list[str]:
    """Return what is paid by other measures than messages."""
    groups = YAML(typ="safe").load(ALERTS.read_text())["groups"]
    alerts = sum(len(group["rules"]) for group in groups)
    runs = sum(len(group["rules"]) * MONTH_S / int(group["interval"].removesuffix("s")) for group in groups)
    requests = prices.LOGGED_BYTE.of(MILLION * REQUEST_LOG_BYTES)
    small = prices.QUERIED_BYTE.of(QUERY_BYTES) * 3_600
    lines = head("what", "$")
    lines += [
        row(f"alerts, {alerts} conditions, a month, for {count} system{'s' if count > 1 else ''}", f"{dollars:.2f}")
        for count, dollars in (
            (count, prices.CONDITION_MONTH.of(alerts) + prices.SERIES_RETURNED.of(runs * count))
            for count in (1, SYSTEMS)
        )
    ]
    lines.append(row("the platform's log of a million pushes, where it is not excluded", f"{requests:.2f}"))
    page = f"the page at `/`, open for an hour over BigQuery ({PAGE_QUERIES} small queries every {PAGE_EVERY_S} s)"
    lines.append(row(page, f"{small * PAGE_QUERIES / PAGE_EVERY_S:.3f}"))
    wait = f"a reader that waits for an hour, or all readers of one tail (a small query every {WAIT_EVERY_S} s)"
    lines.append(row(wait, f"{small / WAIT_EVERY_S:.3f}"))
    return lines


def assumed() -> list[str]:
    """Return what the tables rest on."""
    machine = measured("ingest")["machine"]
    return [
        f"- Measured: a push of 1 KB under load takes {push_us() / 1_000:.3f} ms of one processor, including token, "
        f"checks and acknowledged append ({machine['cpus']} processors, {machine['machine']}, "
        f"Python {machine['python']}; `make bench-ingest`). A local server without encryption replaced BigQuery. "
        f"With metrics, logs and 1 % of the traces it takes {cost_of_telemetry():.2f} times that. "
        "A vCPU of Cloud Run may be slower: measure there before you rely on it.",
        f"- The row of such a message has {row_bytes():,} bytes, its envelope included. An instance has {VCPUS} vCPU "
        f"and {MEMORY_GIB} GiB, is billed by instance, and is used to {USED * 100:.0f} %; one always runs.",
        f"- In flight: an acknowledgement takes {ACK_S * 1_000:.0f} ms. A month has 30 days.",
        f"- Prices are list prices of {prices.DATED}, without free amounts or discounts "
        "([bench/scaling/prices.py](../bench/scaling/prices.py) has each with its source).",
        f"- An instance's metrics are at most {metric_samples():,} samples every {METRICS_EVERY_S} s. For "
        f"{TRACE_RATIO * 100:.0f} % of the messages {SPANS} spans are kept. A canary every "
        f"{HEARTBEAT_EVERY_S} s costs a query of {QUERY_BYTES / 1e6:.0f} MB each. "
        f"The service writes some {LOG_LINES_A_DAY:,} lines a day.",
    ]


TABLES: dict[str, Callable[[], list[str]]] = {
    "assumed": assumed,
    "capacity": wanted,
    "cost": cost,
    "looking": looking,
    "aside": aside,
}

with_tables = partial(tables_made, made="by bench/scaling", tables=TABLES)
"""Return the document's text with its tables made anew."""
