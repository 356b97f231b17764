"""Results that nobody measured: a small one of every kind, as its measurement writes it, for test_report.py."""

import json
from pathlib import Path
from typing import Any

import msgspec

from bench.ingest.contenders import FASTAPI, FLASK, REMEMBERING, SLUICE, TUNED
from bench.ingest.messages import Case
from bench.report.ingest import IN_HUNDREDS
from bench.report.results import Results, read

AT_HAND = {"rows": 1_000, "p50_ms": 7.0, "p95_ms": 16.0, "cold_queries": 1}
MACHINE = {"cpus": 2, "machine": "x86_64", "python": "3.13.1", "load_average": [0.1, 0.2]}
RATES = {"bare": 40_000, "waiting": 20_000, "litestar route": 12_000, SLUICE: 16_000, FLASK: 500, FASTAPI: 1_600}
MANY = Case(records=100, in_flight=64)


def cell(contender: str, per_s: float, case: Case | None = None) -> dict[str, Any]:
    """Return a cell of two rounds."""
    case = case or Case()
    figures = {
        "messages_per_s": per_s,
        "records_per_s": per_s * case.records,
        "cpu_us_per_message": 1e6 / per_s,
        "cores": 0.99,
        "load_cores": 0.5,
        "p50_ms": 25.0,
        "p99_ms": 40.0,
    }
    return {"contender": contender, "case": msgspec.to_builtins(case), "rounds": [figures] * 2, "median": figures}


def held(rss: float) -> dict[str, float]:
    """Return what a process holds."""
    return {"rss": rss, "pss": rss, "anonymous": rss / 2}


def made_up() -> dict[str, dict[str, Any]]:
    """Return a result of every kind, by the name of its file."""
    ratios = {f"{SLUICE} / {name}": RATES[SLUICE] / rate for name, rate in RATES.items() if name != SLUICE}
    ratios |= {f"{SLUICE} / {TUNED}": 16.0, f"{SLUICE} / {REMEMBERING}": 4.9, IN_HUNDREDS: 11.0}
    bursts = [{"meanwhile": held(150), "peak_rss": 160, "after": held(each)} for each in (120, 121, 130, 123, 124, 126)]
    store = {"idle": held(100), "under_load": {"meanwhile": held(130), "peak_rss": 140}, "bursts": bursts}
    cells: dict[str, list[dict[str, Any]]] = {
        "ingest": [
            *(cell(name, rate) for name, rate in RATES.items()),
            cell("waiting", 8_000, MANY),
            cell(SLUICE, 2_000, MANY),
        ],
        "latency": [
            {
                "contender": SLUICE,
                "load": 0.5,
                "messages_per_s": 8_000,
                "added_ms": {"p50": 1, "p99": 10, "p99.9": 30},
                "worst_p99_ms": 12,
            }
        ],
        "workers": [
            {"workers": count, "case": {}, "messages_per_s": 10_000 * count, "cpu_us_per_message": 100}
            for count in (1, 2)
        ],
        "price": [
            {"rows_per_s": 1_000, "way": way, "reader": reader, "bytes_per_million": size}
            | {"dollars_per_million": size and size / 1e11, "dollars_per_month": size and month}
            for way in ("pages", "chunks")
            for reader, size, month in (("a follower", 4e12, 60_000.0), ("an id", 1e12, None), ("another", None, None))
        ],
        "start": [
            {"contender": f"sluice, {name}", "rounds": [took], "median": took}
            for name, took in (
                ("embedded", {"wall_s": 0.9, "cpu_s": 0.5}),
                ("bigquery", {"wall_s": 1.6, "cpu_s": 0.6}),
            )
        ],
    }
    imported = {"modules": 9, "self_ms": 90.0, "packages": [{"name": "app", "self_ms": 30.0}]}
    answers = {"304": {"p50_ms": 0.3, "p99_ms": 0.5}}
    return {
        "ingest": {
            "machine": MACHINE,
            "rounds": 2,
            "seconds": 1.0,
            "cells": cells["ingest"],
            "ratios": {name: {"rounds": [value] * 2, "median": value} for name, value in ratios.items()},
        },
        "latency": {"machine": MACHINE, "ack_ms": 20.0, "cells": cells["latency"]},
        "workers": {"machine": MACHINE, "cells": cells["workers"]},
        "start": {"machine": MACHINE, "rounds": 1, "cells": cells["start"], "imports": {"sluice, embedded": imported}},
        "memory": {"machine": MACHINE, "margin": 5.0, "backends": {"bigquery": {**store, "growth_rss": 3.0}}},
        "price": {"machine": MACHINE, "layout": {}, "at_hand": AT_HAND, "cells": cells["price"]},
        "fresh": {
            "machine": MACHINE,
            "rows_per_s": 1_000,
            "cells": [
                {"watermarks": watermarks, "poll_s": 5.0, "p50_s": 5.0, "p99_s": 9.25, "look_p50_s": 0.7}
                | {"look_p99_s": 1.5, "dollars_per_month": {"a follower": dollars, "ten": 12.0}}
                for watermarks, dollars in (("off", 115.25), ("read", None))
            ],
        },
        "api": {"machine": MACHINE, "rows": 1_000_000, "pages": answers, "page_ceilings": answers},
    }


def results_of(folder: Path, found: dict[str, dict[str, Any]]) -> Results:
    """Return results as they are read from files."""
    for name, one in found.items():
        (folder / f"{name}.json").write_text(json.dumps(one))
    return read(folder)
