"""The tables of docs/performance.md, made of files in bench/results, so that no figure is copied by hand.

    python -m bench.query.performance_tables

`make bench-query`, `make bench-embedded` and `make load` run this when they are done. A table stands between two marks
of its name.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.documents import between_marks, head, row
from bench.places import RESULTS, ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
_Found = dict[str, Any]


def pages(found: _Found) -> list[str]:
    """Return what each kind of answer takes, beside one of the same size that is ready."""
    lines = head("answer", "p50, ms", "p95, ms", "p99, ms", "of it the store, p50", "constant answer, p50")
    for name, one in found["pages"].items():
        store = f"{one['store_p50_ms']:.1f}" if "store_p50_ms" in one else "not asked"
        bare = found["page_ceilings"][name]["p50_ms"]
        lines.append(row(name, *_times(one), store, f"{bare:.2f}"))
    lines.append(row("ceiling: 100 rows of a known time, in the store alone", *_times(found["page_scan"]), "", ""))
    return lines


def exports(found: _Found) -> list[str]:
    """Return the rates of exports, and what memory they took."""
    lines = head("export", "rows", "rows/s", "MiB/s", "first byte, ms", "memory, at most", "of that new", "second half")
    for form, sizes in found["exports"].items():
        for one in sizes.values():
            memory = (
                f"{one['peak_mib']:.0f} MiB",
                f"{one['growth_mib']:+.0f} MiB",
                f"{one['second_half_mib']:+.0f} MiB",
            )
            rate = (f"{one['rows_per_s']:,}", f"{one['mib_per_s']:.0f}", f"{one['first_byte_ms']:.0f}")
            lines.append(row(form, f"{one['rows']:,}", *rate, *memory))
    for name, one in found["export_ceilings"].items():
        lines.append(row(f"ceiling: {name}", "all", f"{one['rows_per_s']:,}", "", "", "", "", ""))
    return lines


def beside(found: _Found) -> list[str]:
    """Return what a page takes while an export runs."""
    lines = head("concurrent export as", "p50, ms", "p95, ms", "p99, ms")
    lines += [row(form, *_times(one)) for form, one in found["pages_beside_an_export"].items()]
    return lines


def load(found: _Found) -> list[str]:
    """Return what many clients saw."""
    lines = head(
        *("clients", "run", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors", "429", "reached the store"),
        *("processors: service", "clients", "memory, MiB"),
    )
    for clients, runs in found["clients"].items():
        for name in ("paced", "at once", "bare"):
            run = runs[name]
            share = "" if name == "bare" else f"{run['store_share']:.0%}"
            used = (f"{run['server_cores']:.2f}", f"{run['clients_cores']:.2f}", f"{run['server_peak_mib']:.0f}")
            counts = (str(run["errors"]), str(run["too_many_requests"]), share)
            lines.append(row(clients, name, f"{run['requests_per_s']:.0f}", *_times(run), *counts, *used))
    return lines


def kinds(found: _Found) -> list[str]:
    """Return what the clients of each kind saw, in the paced runs."""
    lines = head("clients", "request", "requests/s", "p50, ms", "p95, ms", "p99, ms", "answers, by Sluice-Cache")
    for clients, runs in found["clients"].items():
        for kind, one in runs["paced"]["kinds"].items():
            cache = ", ".join(f"{state} {count / one['requests']:.0%}" for state, count in sorted(one["cache"].items()))
            lines.append(row(clients, kind, f"{one['requests_per_s']:.1f}", *_times(one), cache))
    return lines


def measured_on(found: _Found) -> list[str]:
    """Return what the machine was."""
    machine = found["machine"]
    text = (
        f"{machine['cpus']} processors ({machine['machine']}), Python {machine['python']}, DuckDB {machine['duckdb']}"
    )
    return [
        f"Measured on {text}, over {found['rows']:,} rows. The machine's load average was {machine['load_average'][0]} "
        "beforehand: where that is not near 0, others shared it, and the times say more of them than of the service."
    ]


def millions(found: _Found) -> list[str]:
    """Return what reads of millions of rows take, before the index and with it."""
    lines = head("reading", "p50, ms", "p95, ms", "without the index, p50", "p95", "ratio of the medians")
    for name, one in found["readings"].items():
        if "p95_ms" in one:
            times = [f"{each[key]:.1f}" for each in (one, one["against"]) for key in ("p50_ms", "p95_ms")]
            lines.append(row(name, *times, f"{one['ratio']:.2f}"))
    for name, one in found["readings"].items():
        if "p95_ms" not in one:
            key = next(key for key in one["against"] if key != "count")
            lines.append(row(name, f"{one[key]:,}", "", f"{one['against'][key]:,}", "", f"{one['ratio']:.2f}"))
    return lines


TABLES: dict[str, tuple[str, Callable[[_Found], list[str]]]] = {
    "api": ("api.json", measured_on),
    "pages": ("api.json", pages),
    "exports": ("api.json", exports),
    "beside": ("api.json", beside),
    "embedded": ("millions.json", measured_on),
    "millions": ("millions.json", millions),
    "load": ("load.json", load),
    "kinds": ("load.json", kinds),
}


def with_tables(text: str, results: Path = RESULTS) -> str:
    """Return the document with those tables made anew for which there are results.

    Raises:
        ValueError: the document has no place for a table.
    """
    for name, (file, make) in TABLES.items():
        if (results / file).exists():
            lines = make(json.loads((results / file).read_text()))
            text = between_marks(text, name, f"of bench/results/{file}", lines)
    return text


def write_tables() -> None:
    """Make the tables of the document anew."""
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))


def _times(one: _Found) -> Iterable[str]:
    return (f"{one[name]:.1f}" if one[name] >= 1 else f"{one[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))


if __name__ == "__main__":
    write_tables()
