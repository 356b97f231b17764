"""Exports (`limit=all`) of windows of several sizes: rows a second, and the service's memory meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from app.runtime.instants import DAY_US
from bench.places import ROOT
from bench.query.constant import Constant
from bench.query.export_client import Order
from bench.query.keep_alive import KeepAlive, percentiles
from bench.query.pages import Places, instant, page
from bench.query.rows import Rows
from bench.query.served import Served, constant
from bench.usage import Watch

FORMATS = ("arrow", "ndjson", "csv")
_SETTLE_S = 0.5


def window_of(rows: Rows, share: float) -> tuple[int, int]:
    """Return a window that holds this share of the rows, the oldest."""
    return rows.start_us, rows.start_us + round((rows.end_us - rows.start_us) * share)


def export_target(rows: Rows, share: float, form: str) -> str:
    """Return the target of the export of this share of the rows."""
    since_us, until_us = window_of(rows, share)
    return page(since=instant(since_us), until=instant(until_us), limit="all", format=form)


def measure_exports(served: Served, rows: Rows, shares: tuple[float, ...], rounds: int) -> dict[str, Any]:
    """Export each share of the rows in each format; return the best and median rates, and the memory.

    The first export of a format, of everything, is not counted: it brings the store's pages into memory, which the
    store keeps.
    """
    found: dict[str, Any] = {}
    for form in FORMATS:
        _run("read", Order(served=served, target=export_target(rows, 1.0, form), format=form))
        sizes: dict[str, Any] = {}
        for share in shares:
            order = Order(served=served, target=export_target(rows, share, form), format=form)
            runs = [_watched(served, order) for _ in range(rounds)]
            expected = rows.between(*window_of(rows, share))
            sizes[f"{round(rows.count * share):,} rows"] = _export_summary(runs, expected)
        found[form] = sizes
    return found


def _watched(served: Served, order: Order) -> dict[str, Any]:
    time.sleep(_SETTLE_S)
    with Watch(served.pid) as watch:
        got = _run("read", order)
    return got | watch.used()


def _export_summary(runs: list[dict[str, Any]], expected: int) -> dict[str, Any]:
    for run in runs:
        if run["rows"] != expected:
            raise SystemExit(f"an export had {run['rows']} rows, not {expected}")
    median = sorted(runs, key=lambda run: float(run["s"]))[len(runs) // 2]
    return {
        "rows": expected,
        "rows_per_s": round(expected / median["s"]),
        "mib_per_s": round(median["bytes"] / median["s"] / 1024**2, 1),
        "s": median["s"],
        "first_byte_ms": round(median["first_byte_s"] * 1_000, 1),
        "bytes": median["bytes"],
        "peak_mib": max(run["peak_mib"] for run in runs),
        "growth_mib": round(max(run["peak_mib"] - run["before_mib"] for run in runs), 1),
        "second_half_mib": round(max(run["second_half_mib"] for run in runs), 1),
        "kept_mib": round(max(run["after_mib"] - run["before_mib"] for run in runs), 1),
        "service_cores": median["cores"],
    }


def measure_ceilings(copy: Path, rows: Rows, exports: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Measure what the same rows cost without the service: in the store alone, and as bytes over HTTP alone."""
    since_us, until_us = window_of(rows, 1.0)
    scanned = _run("scan", Order(path=str(copy), since_us=since_us, until_us=until_us))
    found: dict[str, Any] = {
        f"store to Arrow, {name}": {"rows_per_s": round(one["rows"] / one["s"]), **one} for name, one in scanned.items()
    }
    whole = {form: list(sizes.values())[-1] for form, sizes in exports.items()}
    kinds = {form: Constant(body_bytes=one["bytes"]) for form, one in whole.items()}
    with constant(kinds, directory) as served:
        for form, one in whole.items():
            got = _run("read", Order(served=served, target="/", kind=form))
            found[f"bytes over HTTP, {form}"] = {"s": got["s"], "rows_per_s": round(one["rows"] / got["s"])}
    return found


def pages_meanwhile(served: Served, rows: Rows, count: int) -> dict[str, Any]:
    """Measure pages of 100 while an export of everything runs, one after the other; per format."""
    found = {}
    for seed, form in enumerate(FORMATS):
        places = Places(rows, seed)
        with (
            _exporting(Order(served=served, target=export_target(rows, 1.0, form), format=form)),
            KeepAlive(served) as client,
        ):
            time.sleep(_SETTLE_S)
            got = [client.get(page(**places.window(DAY_US), limit=100)) for _ in range(count)]
        answers = {(answer.status, answer.headers.get("sluice-cache")) for answer in got}
        if answers != {(200, "miss")}:
            raise SystemExit(f"pages beside an export were answered {answers}")
        found[form] = percentiles([answer.took_ms for answer in got])
    return found


@contextmanager
def _exporting(order: Order) -> Iterator[None]:
    process = subprocess.Popen(_command("again", order), cwd=ROOT)
    try:
        yield
        if process.poll() is not None:
            raise SystemExit("the reader of exports ended")
    finally:
        process.kill()
        process.wait()


def _command(what: str, order: Order) -> list[str]:
    return [sys.executable, "-m", "bench.query.export_client", what, msgspec.json.encode(order).decode()]


def _run(what: str, order: Order) -> dict[str, Any]:
    output = subprocess.run(_command(what, order), cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return dict(msgspec.json.decode(output))
