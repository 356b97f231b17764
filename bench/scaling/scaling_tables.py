"""The tables of docs/scaling.md: the measured figures carried on from 1,000 to 1,000,000 records a second.

What is assumed is said in the document.
"""

from collections.abc import Callable
from functools import partial

from bench.documents import head, row, tables_made
from bench.places import ROOT
from bench.scaling import capacity, prices, reads
from bench.scaling.limits import CONCURRENCY, LIMITS, LOOKBACK_S, READ, RETENTION_DAYS, WINDOW, Whose
from bench.scaling.needs import needs
from bench.scaling.shares import (
    METRIC_REQUESTS,
    SEARCH_UP_TO,
    TIME_SERIES,
    cost_per_million,
    costs,
    first,
    holds_up_to,
    shares,
)
from bench.scaling.text import amount, marked, percent, plural, rate_text, short, verdict

DOCUMENT = ROOT / "docs" / "scaling.md"
RATES_PER_S = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 100
FORMS = (1, BATCH)  # records in a message
STREAMS, STREAMS_RATE_PER_S = (1, 3, 10, 50, 200), 10_000
CASES = [(rate, records) for records in FORMS for rate in RATES_PER_S]


def answer() -> list[str]:
    """Return the summary of the page."""
    low, middle, high, highest = RATES_PER_S
    bare, batched = (needs(highest, records, costs()).instances for records in FORMS)
    cheap, dear = (sum(cost_per_million(rate, 1).values()) for rate in (highest, low))
    following = {rate: reads.month_dollars(rate, reads.FOLLOWER) or 0 for rate in RATES_PER_S}
    exporting = {rate: reads.month_dollars(rate, reads.EXPORTS) or 0 for rate in RATES_PER_S}
    return [
        "**Ingest scales with instances and quotas; following every record by pages reaches its price first.**",
        "",
        f"As Terraform deploys it, the service ingests {rate_text(holds_up_to('instances'))} records of 1 KB a second, "
        f"one per message, and {rate_text(holds_up_to('instances', BATCH))} with {BATCH} per message. {high:,} a "
        f"second need {needs(high, 1, costs()).instances} instances and more vCPUs than a new project has. "
        f"{highest:,} a second need {bare} instances, or {batched} with {BATCH} per message, and several quotas that "
        f"Google must raise. To ingest a million records costs ${cheap:.2f} to ${dear:.2f}, at any of these rates.",
        "",
        f"At {low:,} records a second, following all of them by pages costs ${following[low]:,.0f} a month, "
        f"for ten readers ${reads.month_dollars(low, reads.FOLLOWERS) or 0:,.0f}, and exporting each hour costs "
        f"${exporting[low]:,.0f}, by a model of BigQuery's bill. At {middle:,} a second it is "
        f"${following[middle]:,.0f} and ${exporting[middle]:,.0f}: from there on, let consumers use exports or query "
        "BigQuery directly, and keep pages for people.",
    ]


def gives() -> list[str]:
    """Return the first limit that each rate exceeds, before and after the settings and quotas are raised."""
    lines = head(
        *("records/s", "per message", "ingest, as deployed", "settings raised", "the same, dataset in a region"),
        *("reads, as deployed", "all raised: the bill, $ a month"),
    )
    for rate, records in CASES:
        raised = {Whose.QUOTA}
        found = (
            first(rate, {Whose.OURS, Whose.QUOTA}, records=records),
            first(rate, raised, records=records),
            first(rate, raised, records=records, is_regional=True),
            first(rate, {Whose.OURS}, records=records, of_reading=True),
        )
        taking = sum(cost_per_million(rate, records).values()) * rate * capacity.MONTH_S / capacity.MILLION
        kept = reads.kept(rate, costs().row_bytes)[reads.KEPT_DOLLARS]
        bill = f"{short(taking + kept)}: {short(taking)} ingest, {short(kept)} storage"
        lines.append(row(f"{rate:,}", str(records), *(verdict(*each) for each in found), bill))
    return lines


def limits() -> list[str]:
    """Return the share of each limit that each rate uses, and the highest rate within it."""
    ends = (f"holds up to, {records} per message" for records in FORMS)
    lines = head("limit", "value", *(f"{rate:,}/s" for rate in RATES_PER_S), *ends, "raised by")
    for name, limit in LIMITS.items():
        parts = (marked(shares(rate)[name]) for rate in RATES_PER_S)
        bears = (rate_text(holds_up_to(name, records)) for records in FORMS)
        lines.append(row(limit.what, amount(limit), *parts, *bears, limit.whose.value))
    return lines


def remedies() -> list[str]:
    """Return what to do about each limit, first about those that give first."""
    by_end = sorted(LIMITS, key=lambda name: holds_up_to(name) or SEARCH_UP_TO)
    lines = head("exceeded above, records/s", "limit", "remedy")
    lines += [
        row(rate_text(end), LIMITS[name].what, LIMITS[name].remedy) for name in by_end if (end := holds_up_to(name))
    ]
    return lines


def ingest_service() -> list[str]:
    """Return what each rate needs for ingest."""
    lines = head(
        *("records/s", "per message", "processors used", "instances", "because of", "in flight, per instance"),
        *("outstanding pushes", "share of the safe window", "MB/s appended", "per instance", "connections: needed"),
        *("at most", "copies remembered for, s"),
    )
    for rate, records in CASES:
        load = needs(rate, records, costs())
        megabytes = load.appended_bytes_per_s / 1e6
        lines.append(
            row(
                *(f"{rate:,}", str(records), f"{load.processors:,.2f}", f"{load.instances:,}", load.bound_by),
                *(f"{load.in_flight_each:,.0f}", f"{load.in_flight:,.0f}", percent(load.in_flight / WINDOW)),
                *(f"{megabytes:,.1f}", f"{megabytes / load.instances:,.1f}", f"{load.connections:,}"),
                *(f"{load.most_connections:,}", f"{min(load.remembered_s, LOOKBACK_S):,.0f}"),
            )
        )
    return lines


def streams() -> list[str]:
    """Return the connections and appends of several streams, and how many instances the quota takes."""
    wide, regional = (LIMITS[name].value for name in ("connections", "connections in a region"))
    lines = head(
        *("streams", "connections: needed", "at most", "appends/s, at most", "connections of an instance, at most"),
        *("instances within the quota of EU or US", "of a region"),
    )
    for count in STREAMS:
        load = needs(STREAMS_RATE_PER_S, 1, costs(), count)
        each = load.most_connections // load.instances
        within = (f"{quota // each:,.0f}" for quota in (wide, regional))
        numbers = (count, load.connections, load.most_connections, load.appends_per_s, each)
        lines.append(row(*(f"{number:,.0f}" for number in numbers), *within))
    return lines


def cost() -> list[str]:
    """Return the cost of a million records and of a month."""
    lines = head("records/s", "per message", *cost_per_million(1, 1), "sum, $ per million", "$ a month")
    for rate, records in CASES:
        parts = list(cost_per_million(rate, records).values())
        month = sum(parts) * rate * capacity.MONTH_S / capacity.MILLION
        lines.append(row(f"{rate:,}", str(records), *(f"{part:.4f}" for part in [*parts, sum(parts)]), f"{month:,.0f}"))
    return lines


def table() -> list[str]:
    """Return what comes to lie in the table."""
    lines = head("records/s", *reads.kept(1, 1))
    for rate in RATES_PER_S:
        kept = reads.kept(rate, costs().row_bytes).values()
        lines.append(row(f"{rate:,}", *(short(value) for value in kept)))
    return lines


def reading() -> list[str]:
    """Return what taking and reading cost, and how far back an id is found without an index."""
    lines = head(
        *("records/s", "taking them in", "one follower, before", "now", "ten followers, now", "a dashboard, before"),
        *("now", "an export of each hour", "an id without a search index"),
    )
    for rate in RATES_PER_S[:-1]:
        taking = cost_per_million(rate, 1)
        found = [
            sum(taking.values()) * rate * capacity.MONTH_S / capacity.MILLION,
            reads.month_dollars(rate, reads.FOLLOWER, before=True),
            *(reads.month_dollars(rate, reader) for reader in (reads.FOLLOWER, reads.FOLLOWERS)),
            reads.month_dollars(rate, reads.DASHBOARD, before=True),
            *(reads.month_dollars(rate, reader) for reader in (reads.DASHBOARD, reads.EXPORTS)),
        ]
        hours = reads.look_up_hours(rate)
        dollars = ("—" if value is None else short(value) for value in found)
        lines.append(row(f"{rate:,}", *dollars, f"{hours:,.0f} h back" if hours else "refused"))
    return lines


def looking() -> list[str]:
    """Return the amount and cost of telemetry."""
    lines = head(
        "records/s", "per message", "time series", "requests to the Telemetry API a minute", "metrics, $ a month"
    )
    for rate, records in CASES:
        count = needs(rate, records, costs()).instances
        sent = capacity.MONTH_S / capacity.METRICS_EVERY_S
        dollars = prices.SAMPLE.of(count * capacity.metric_samples() * sent)
        requests = count * METRIC_REQUESTS * 60 / capacity.METRICS_EVERY_S
        lines.append(row(f"{rate:,}", str(records), f"{count * TIME_SERIES:,}", f"{requests:,.0f}", short(dollars)))
    return lines


def assumed() -> list[str]:
    """Return what is measured, and what is not."""
    machine, found = capacity.measured("ingest")["machine"], costs()
    sizes = [
        f"{us:,.0f} µs for {plural(count, 'record')} of {size:,} bytes"
        for (size, count), us in sorted(found.cpu_us.items())
    ]
    return [
        f"- **Measured** ([ingest.json](../bench/results/ingest.json), {machine['cpus']} processors, "
        f"{machine['machine']}, Python {machine['python']}, against local doubles). Telemetry adds "
        f"{found.telemetry_us:.0f} µs to the processor time of a push, which is:",
        *(f"  - {size}" for size in sizes),
        f"- **Derived from the code**: the row of a 1 KB record has {found.row_bytes:,} bytes, its envelope included; "
        f"the columns that identify copies have {reads.KEY_BYTES}.",
        f"- **Assumed**: instances of {capacity.VCPUS} vCPU and {capacity.MEMORY_GIB} GiB, with processors as fast as "
        f"the one above, used to {capacity.USED * 100:.0f} %. Each serves {CONCURRENCY} concurrent requests; Cloud Run "
        f"may add instances earlier. A message is in flight for {found.latency_s * 1_000:.0f} ms, of which BigQuery's "
        f"acknowledgement takes {capacity.ACK_S * 1_000:.0f}, the slow end of the reported range. The load is steady, "
        f"without bursts. Records are kept for {RETENTION_DAYS} days, and a month has 30.",
        f"- **Quoted**: the limits, as published in {READ} (below), and the list prices of "
        f"[bench/scaling/prices.py](../bench/scaling/prices.py), of {prices.DATED}, without free amounts, discounts, "
        "or the lower price for long-term storage.",
    ]


def sources() -> list[str]:
    """Return the page of each limit, and the source of its value."""
    lines = head("limit", "value", "page", "source of the value")
    for limit in LIMITS.values():
        page = f"[{limit.source.removeprefix('https://').rpartition('../')[2]}]({limit.source})"
        lines.append(row(limit.what, amount(limit), page, limit.known))
    return lines


TABLES: dict[str, Callable[[], list[str]]] = {
    "answer": answer,
    "gives": gives,
    "remedies": remedies,
    "limits": limits,
    "way-in": ingest_service,
    "streams": streams,
    "cost": cost,
    "table": table,
    "reading": reading,
    "looking": looking,
    "assumed": assumed,
    "sources": sources,
}

with_tables = partial(tables_made, made="by bench/scaling", tables=TABLES)
"""Return the document's text with its tables made anew."""
