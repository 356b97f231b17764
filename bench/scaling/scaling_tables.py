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
CASES = [(rate, records) for records in FORMS for rate in RATES_PER_S]


def answer() -> list[str]:
    """Return what somebody wants to know who reads nothing else."""
    low, _, high, highest = RATES_PER_S
    bare, batched = (needs(highest, records, costs()).instances for records in FORMS)
    cheap, dear = (sum(cost_per_million(rate, 1).values()) for rate in (highest, low))
    read = reads.reading_dollars(low, costs().row_bytes)
    return [
        "**Taking records in scales with instances and quotas; reading them by pages is what gives first.**",
        "",
        f"As Terraform deploys it, the service takes {rate_text(holds_up_to('instances'))} records of 1 KB a second, "
        f"one in a message, and {rate_text(holds_up_to('instances', BATCH))} with {BATCH} in a message. "
        f"{high:,} a second want {needs(high, 1, costs()).instances} instances and more vCPUs than a new project has; "
        f"{highest:,} want {bare} instances, or {batched} with {BATCH} in a message, and several quotas that Google "
        f"must raise. A million records cost ${cheap:.2f} to ${dear:.2f} to take, at any of these rates.",
        "",
        f"But a page of the feed may be refused from {rate_text(holds_up_to('page'))} records a second on until "
        "`SLUICE_QUERY_MAX_BYTES_BILLED` is raised, as it reads an hour of the table whatever it shows; and "
        f"following every record by pages costs ${read[reads.BY_PAGES]:,.0f} a month at {low:,} a second "
        f"already, where exporting each hour costs ${read[reads.BY_EXPORTS]:,.0f}. Above that rate, have "
        "consumers read by exports, or in BigQuery itself, and keep pages for people.",
    ]


def gives() -> list[str]:
    """Return what gives first at each rate, before and after what can be raised is raised."""
    lines = head(
        *("records/s", "in a message", "taking, as it comes", "settings raised", "the same, dataset in a region"),
        *("reading, as it comes", "all raised: the bill, $ a month"),
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
        read = reads.reading_dollars(rate, costs().row_bytes)[reads.BY_EXPORTS]
        bill = f"{short(taking + kept + read)}: {short(taking)} taking, {short(kept)} keeping, {short(read)} exporting"
        lines.append(row(f"{rate:,}", str(records), *(verdict(*each) for each in found), bill))
    return lines


def limits() -> list[str]:
    """Return which part of each limit each rate takes, and how far it goes."""
    ends = (f"holds up to, {records} in a message" for records in FORMS)
    lines = head("limit", "is", *(f"{rate:,}/s" for rate in RATES_PER_S), *ends, "raised by")
    for name, limit in LIMITS.items():
        parts = (marked(shares(rate)[name]) for rate in RATES_PER_S)
        bears = (rate_text(holds_up_to(name, records)) for records in FORMS)
        lines.append(row(limit.what, amount(limit), *parts, *bears, limit.whose.value))
    return lines


def remedies() -> list[str]:
    """Return what to do about each limit, first about those that give first."""
    by_end = sorted(LIMITS, key=lambda name: holds_up_to(name) or SEARCH_UP_TO)
    lines = head("gives above, records/s", "what", "then")
    lines += [
        row(rate_text(end), LIMITS[name].what, LIMITS[name].remedy) for name in by_end if (end := holds_up_to(name))
    ]
    return lines


def ingest_service() -> list[str]:
    """Return what each rate wants on its way in."""
    lines = head(
        *("records/s", "in a message", "processors used", "instances", "because of", "in flight, each of them"),
        *("outstanding pushes", "of the sure window", "MB/s appended", "each of them", "connections: wanted"),
        *("at most", "copies known for, s"),
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


def cost() -> list[str]:
    """Return what a million records and a month cost."""
    lines = head("records/s", "in a message", *cost_per_million(1, 1), "sum, $ per million", "$ a month")
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
    """Return what reading costs, and how far back an id is found."""
    of_row = costs().row_bytes
    names = reads.reading_dollars(1, of_row)
    lines = head("records/s", "a look reads, GB", *names, "an id is found back to, as it comes")
    for rate in RATES_PER_S:
        dollars = (short(value) for value in reads.reading_dollars(rate, of_row).values())
        hours = reads.look_up_hours(rate, of_row)
        look = short(reads.look_bytes(rate, of_row) / 1e9)
        lines.append(row(f"{rate:,}", look, *dollars, f"{hours:,.0f} h" if hours else "refused"))
    return lines


def looking() -> list[str]:
    """Return what looking at the service comes to."""
    lines = head(
        "records/s", "in a message", "time series", "requests to Cloud Monitoring a minute", "metrics, $ a month"
    )
    for rate, records in CASES:
        count = needs(rate, records, costs()).instances
        sent = capacity.MONTH_S / capacity.METRICS_EVERY_S
        dollars = prices.METRIC_BYTE.of(count * capacity.metric_bytes() * sent)
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
        f"{machine['machine']}, Python {machine['python']}, against local doubles): of one processor a push takes "
        f"{'; '.join(sizes)}. Telemetry adds {found.telemetry_us:.0f} µs to each.",
        f"- **Asked of the code**: the row of a 1 KB record comes to {found.row_bytes:,} bytes, its envelope included; "
        f"the columns by which copies are found, to {reads.KEY_BYTES}.",
        f"- **Assumed**: instances of {capacity.VCPUS} vCPU and {capacity.MEMORY_GIB} GiB, used to "
        f"{capacity.USED * 100:.0f} %, with processors as fast as the one above, and {CONCURRENCY} requests at once on "
        f"each (Cloud Run decides by itself when to add one, and may do so earlier); a message is in hand for "
        f"{found.latency_s * 1_000:.0f} ms, of which BigQuery's acknowledgement is {capacity.ACK_S * 1_000:.0f}, the "
        f"slow end of what is reported; steady load, no bursts; records kept for {RETENTION_DAYS} days; months of 30.",
        f"- **Quoted**: the limits, as found in {READ} (below), and the list prices of "
        f"[bench/scaling/prices.py](../bench/scaling/prices.py), of {prices.DATED}, with nothing free, no discount, "
        "and no lower price for what lies in the table for long.",
    ]


def sources() -> list[str]:
    """Return where each limit stands, and what its value was taken from."""
    lines = head("limit", "is", "stands in", "taken from")
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
    "cost": cost,
    "table": table,
    "reading": reading,
    "looking": looking,
    "assumed": assumed,
    "sources": sources,
}

with_tables = partial(tables_made, made="by bench/scaling", tables=TABLES)
"""Return the document's text with its tables made anew."""
