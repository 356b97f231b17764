"""The tables of docs/performance.md, made of files in bench/results, so that no figure is copied by hand.

    python -m bench.tables

Each target that measures runs this when it is done. A table stands between two marks of its name.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.ingest.messages import Case
from bench.places import RESULTS, ROOT
from bench.price.ingest import costs

DOCUMENT = ROOT / "docs" / "performance.md"
_MIB_IN_MB = 1024**2 / 1e6
_Found = dict[str, Any]


def ingest(found: _Found) -> list[str]:
    """Return the service and the ceilings under the usual load, and the service under others."""
    lines = head("load", "who", "messages/s", "records/s", "CPU, µs a message", "of the core", "p50, ms", "p99, ms")
    for cell in found["cells"]:
        if cell["contender"] in {"bare", "waiting", "litestar route", "sluice"}:
            case, one = Case(**cell["case"]), cell["median"]
            if case == Case() or cell["contender"] == "sluice":
                rates = (f"{one['messages_per_s']:,.0f}", f"{one['records_per_s']:,.0f}")
                used = (f"{one['cpu_us_per_message']:,.0f}", f"{one['cores']:.0%}")
                lines.append(row(case.name, cell["contender"], *rates, *used, *_times(one, "p50_ms", "p99_ms")))
    return lines


def latency(found: _Found) -> list[str]:
    """Return what is added to the store's acknowledgement."""
    lines = head("load, of the most", "who", "messages/s", "p50, ms", "p99, ms", "p99 of the worst round, ms")
    for cell in found["cells"]:
        rate, added = f"{cell['messages_per_s']:,.0f}", _times(cell["added_ms"], "p50", "p99")
        lines.append(row(f"{cell['load']:.0%}", cell["contender"], rate, *added, f"{cell['worst_p99_ms']:.1f}"))
    return lines


def start(found: _Found) -> list[str]:
    """Return how long a start takes."""
    lines = head("process", "first 200 after, s", "processor time, s")
    lines += [
        row(each["contender"], *(f"{each['median'][name]:.3f}" for name in ("wall_s", "cpu_s")))
        for each in found["cells"]
    ]
    return lines


def memory(found: _Found) -> list[str]:
    """Return what memory is held."""
    lines = head("store", "idle, MB", "under load, MiB", "peak of the bursts", "after the last", "growth a burst")
    for store, one in found["backends"].items():
        peak = max(burst["peak_rss"] for burst in one["bursts"])
        held = (one["under_load"]["meanwhile"]["rss"], peak, one["bursts"][-1]["after"]["rss"])
        idle, growth = f"{one['idle']['rss'] * _MIB_IN_MB:.0f}", f"{one['growth_rss']:+.1f}"
        lines.append(row(store, idle, *(f"{each:.0f}" for each in held), growth))
    return lines


def cost(_: _Found) -> list[str]:
    """Return the cost of ingesting records."""
    lines = head(
        "records/s", "per message", "processors", "instances", "$ per million", "$ a month", "to store, $ a month"
    )
    for one in costs():
        share = (f"{one.processors:.3f}", f"{one.instances:,}", f"{one.dollars_per_million:.3f}")
        months = (f"{one.dollars_per_month:,.0f}", f"{one.stored_dollars_per_month:,.0f}")
        lines.append(row(f"{one.records_per_s:,}", str(one.per_message), *share, *months))
    return lines


def price(found: _Found) -> list[str]:
    """Return what reading costs, at each rate."""
    rates = list(dict.fromkeys(cell["rows_per_s"] for cell in found["cells"]))
    lines = head("reader", *(f"{rate:,} records/s" for rate in rates))
    cells = {(cell["reader"], cell["rows_per_s"]): cell for cell in found["cells"]}
    for reader in dict.fromkeys(reader for reader, _ in cells):
        lines.append(row(reader, *(_price(cells.get((reader, rate))) for rate in rates)))
    return lines


def fresh(found: _Found) -> list[str]:
    """Return how old the feed is, and what its readers pay."""
    readers = list(found["cells"][0]["dollars_per_month"])
    lines = head("poll, s", "p50, s", "p99, s", *(f"{each}, $ a month" for each in readers))
    for one in found["cells"]:
        ages = (f"{one['poll_s']:g}", f"{one['p50_s']:.1f}", f"{one['p99_s']:.1f}")
        lines.append(row(*ages, *(f"{each:,.0f}" for each in one["dollars_per_month"].values())))
    return lines


def pages(found: _Found) -> list[str]:
    """Return what each kind of answer takes, beside one of the same size that is ready."""
    lines = head("answer", "p50, ms", "p95, ms", "p99, ms", "constant answer, p50")
    for name, one in found["pages"].items():
        bare = found["page_ceilings"][name]["p50_ms"]
        lines.append(row(name, *_times(one), f"{bare:.2f}"))
    lines.append(row("ceiling: 100 rows of a known time, in the store alone", *_times(found["page_scan"]), ""))
    return lines


def exports(found: _Found) -> list[str]:
    """Return the rates of the longest exports, and what memory they took."""
    lines = head("export", "rows", "rows/s", "first byte, ms", "memory, MiB", "of that new", "second half")
    for form, sizes in found["exports"].items():
        one = list(sizes.values())[-1]
        memory = (f"{one['peak_mib']:.0f}", f"{one['growth_mib']:+.0f}", f"{one['second_half_mib']:+.0f}")
        rate = (f"{one['rows_per_s']:,}", f"{one['first_byte_ms']:.0f}")
        lines.append(row(form, f"{one['rows']:,}", *rate, *memory))
    for name, one in found["export_ceilings"].items():
        lines.append(row(f"ceiling: {name}", "all", f"{one['rows_per_s']:,}", "", "", "", ""))
    return lines


def beside(found: _Found) -> list[str]:
    """Return what a page takes while an export runs."""
    lines = head("concurrent export as", "p50, ms", "p95, ms", "p99, ms")
    lines += [row(form, *_times(one)) for form, one in found["pages_beside_an_export"].items()]
    return lines


def load(found: _Found) -> list[str]:
    """Return what the fewest and the most clients saw."""
    lines = head(
        *("clients", "run", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors, 429", "reached the store"),
        *("processors: service", "clients", "memory, MiB"),
    )
    for clients, runs in [*found["clients"].items()][:: len(found["clients"]) - 1]:
        for name in ("paced", "at once", "bare"):
            run = runs[name]
            share = "" if name == "bare" else f"{run['store_share']:.0%}"
            used = (f"{run['server_cores']:.2f}", f"{run['clients_cores']:.2f}", f"{run['server_peak_mib']:.0f}")
            counts = (f"{run['errors']}, {run['too_many_requests']}", share)
            lines.append(row(clients, name, f"{run['requests_per_s']:.0f}", *_times(run), *counts, *used))
    return lines


def measured_on(found: _Found) -> list[str]:
    """Return what the machine was."""
    machine = found["machine"]
    version = f", DuckDB {machine['duckdb']}" if "duckdb" in machine else ""
    text = f"{machine['cpus']} processors ({machine['machine']}), Python {machine['python']}{version}"
    return [f"On {text}; load average beforehand {machine['load_average'][0]}."]


TABLES: dict[str, tuple[str, Callable[[_Found], list[str]]]] = {
    "ingest-machine": ("ingest.json", measured_on),
    "ingest": ("ingest.json", ingest),
    "latency": ("latency.json", latency),
    "start": ("start.json", start),
    "memory": ("memory.json", memory),
    "cost": ("ingest.json", cost),
    "price": ("price.json", price),
    "fresh": ("fresh.json", fresh),
    "reads-machine": ("api.json", measured_on),
    "pages": ("api.json", pages),
    "exports": ("api.json", exports),
    "beside": ("api.json", beside),
    "load": ("load.json", load),
}


def with_tables(text: str, results: Path = RESULTS) -> str:
    """Return the document with each table made again.

    Raises:
        ValueError: the document has no place for a table.
    """
    for name, (file, make) in TABLES.items():
        begin, end = f"<!-- {name}: made of bench/results/{file} -->\n", f"<!-- end of {name} -->"
        before, after = text.index(begin) + len(begin), text.index(end)
        lines = make(json.loads((results / file).read_text()))
        text = text[:before] + "\n".join(lines) + "\n" + text[after:]
    return text


def write_tables() -> None:
    """Make the tables of the document again."""
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))


def head(*names: str) -> list[str]:
    """Return the first two lines of a table."""
    return [row(*names), row(*("---" for _ in names))]


def row(*cells: str) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def _times(one: _Found, *names: str) -> Iterable[str]:
    values = [one[name] for name in names or ("p50_ms", "p95_ms", "p99_ms")]
    return [f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}" for value in values]


def _price(cell: _Found | None) -> str:
    if cell is None:
        return ""
    million, month = cell["dollars_per_million"], cell["dollars_per_month"]
    if million is None:
        return "refused"
    text = f"{million:,.3g}" if million < 1_000 else f"{million:,.0f}"
    return text if month is None else f"{text} ({month:,.0f})"


if __name__ == "__main__":
    write_tables()
