"""What `SLUICE_MCP=true` adds to a process of the service: time to ready, and resident memory.

With each store, fresh processes on one core in pairs, one without the setting and one with it, in alternating order. A
start is from the process's begin to its first 200 on `/health/ready`, as in `bench.start.time_to_ready`. Memory is what
the kernel counts a second later, when the process is idle. Medians are of the rounds, ratios and differences of pairs.
Writes bench/results/mcp.json, and the table of docs/mcp.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.documents import head, row, tables_made
from bench.machine import machine_before
from bench.places import RESULTS, ROOT
from bench.report.figures import load_text
from bench.start.memory import held
from bench.start.time_to_ready import BIGQUERY, EMBEDDED, Outside, outside, ready

RESULT, DOCUMENT = RESULTS / "mcp.json", ROOT / "docs" / "mcp.md"
OFF, ON = "off", "on"
_SETTINGS: Mapping[str, Mapping[str, str]] = {OFF: {}, ON: {"SLUICE_MCP": "true"}}
_SETTLED_S = 1.0  # what a start leaves to be done, such as the look at the tables
_MARKS = "of bench/results/mcp.json"
MEASURES = {
    "wall_s": "until ready, s",
    "cpu_s": "processor time until ready, s",
    "rss_mib": "resident memory, MiB",
    "pss_mib": "of which its own share (PSS), MiB",
}


class Process(msgspec.Struct, frozen=True):
    """What one process took until it was ready, and what it held then."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    pss_mib: float


class Compared(msgspec.Struct, frozen=True):
    """One measure: the medians of both sides, and those of the pairs' ratios and differences."""

    off: float
    on: float
    ratio: float
    ratios: list[float]
    more: float


class Result(msgspec.Struct, frozen=True):
    """mcp.json: by store, each measure and the pairs that it was made of."""

    machine: dict[str, Any]
    pairs: int
    stores: dict[str, dict[str, Compared]]
    rounds: dict[str, list[dict[str, Process]]]


def start(store: str, out: Outside, setting: str) -> Process:
    """Start the service once. Raises SystemExit if it does not become ready."""
    with ready(store, out, settings=_SETTINGS[setting]) as (took, pid):
        time.sleep(_SETTLED_S)
        memory = held(pid)
    return Process(round(took.wall_s, 4), round(took.cpu_s, 4), memory.rss, memory.pss)


def compared(pairs: Sequence[Mapping[str, Process]]) -> dict[str, Compared]:
    """Return each measure over the pairs."""
    found = {}
    for name in MEASURES:
        values = [(getattr(pair[OFF], name), getattr(pair[ON], name)) for pair in pairs]
        ratios = [round(on / off, 3) for off, on in values]
        found[name] = Compared(
            off=round(statistics.median(off for off, _ in values), 4),
            on=round(statistics.median(on for _, on in values), 4),
            ratio=round(statistics.median(ratios), 3),
            ratios=ratios,
            more=round(statistics.median(on - off for off, on in values), 4),
        )
    return found


def table(result: Result) -> list[str]:
    """Return the lines that docs/mcp.md shows."""
    lines = head("store", "", "off", "on", "on / off, median of the pairs", "between", "more")
    for store, measures in result.stores.items():
        for name, what in MEASURES.items():
            one = measures[name]
            write: Callable[[float], str] = "{:.2f}".format if name.endswith("_s") else "{:.0f}".format
            between = f"{min(one.ratios):.2f} to {max(one.ratios):.2f}"
            shown = store.removeprefix("sluice, ")
            lines.append(row(shown, what, write(one.off), write(one.on), f"{one.ratio:.2f}", between, write(one.more)))
    machine = result.machine
    return [
        *lines,
        "",
        f"Medians of {result.pairs} pairs of fresh processes for each store, on one of {machine['cpus']} processors "
        f"({machine['machine']}, Python {machine['python']}; load average before: {load_text(machine)}). Ratios apply "
        "to other machines too; seconds belong to that one.",
    ]


def with_table(text: str, result: Result) -> str:
    """Return the document with its table made anew. Raises ValueError if it has no place for it."""
    return tables_made(text, _MARKS, {"cost": lambda: table(result)})


def read(path: Path = RESULT) -> Result:
    """Return what was measured last."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.start.mcp_cost", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10, help="pairs of each store (default: %(default)s)")
    pairs, before = parser.parse_args().pairs, machine_before()
    rounds: dict[str, list[dict[str, Process]]] = {EMBEDDED: [], BIGQUERY: []}
    with outside() as out:
        for store, found in rounds.items():
            for setting in (OFF, ON):
                start(store, out, setting)  # compiles what was not compiled yet
            for number in range(pairs):
                order = (OFF, ON) if number % 2 == 0 else (ON, OFF)
                found.append({setting: start(store, out, setting) for setting in order})
    result = Result(before, pairs, {store: compared(found) for store, found in rounds.items()}, rounds)
    RESULT.write_text(json.dumps(msgspec.to_builtins(result), indent=2) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), read()))
    print(*table(result), sep="\n")


if __name__ == "__main__":
    main()
