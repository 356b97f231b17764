"""Ingest, measured: how near the ceiling of the machine.

    python -m bench.ingest.compare            make bench-ingest: all of it (three minutes)

First every contender under the first case; then the service and the waiting ceiling over the other cases. Writes
bench/results/ingest.json.
"""

import argparse
import asyncio
import json
from typing import Any

from bench.ingest.cells import ratio
from bench.ingest.contenders import CONTENDERS, SLUICE
from bench.ingest.messages import Case
from bench.ingest.rounds import compare
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "ingest.json"
FIRST = Case()
MANY = Case(records=100, in_flight=64)
"""A hundred records a message: as many records are in flight as are 6 MB."""
SMALL, MANY_SMALL = Case(record_bytes=300), Case(records=100, record_bytes=300, in_flight=64)
SWEEP = (
    Case(in_flight=64),
    Case(in_flight=1_000),
    SMALL,
    Case(record_bytes=10_000),
    Case(wrapped=False),
    MANY,
    MANY_SMALL,
    Case(ack_ms=0.0),
    Case(ack_ms=100.0),
    Case(ack_ms=100.0, in_flight=1_000),
)


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return every cell, and the ratios of the first case."""
    cells = await compare(CONTENDERS, [FIRST], rounds=rounds, seconds=seconds)
    ratios = {
        f"{SLUICE} / {name}": ratio(cells, (SLUICE, FIRST), (name, FIRST)) for name in CONTENDERS if name != SLUICE
    }
    sweep = await compare(["waiting", SLUICE], [FIRST, *SWEEP], rounds=max(rounds * 2 // 5, 2), seconds=seconds)
    ratios["100 records a message / one record"] = ratio(sweep, (SLUICE, MANY), (SLUICE, FIRST))
    ratios["100 records a message / one record, 300 B"] = ratio(sweep, (SLUICE, MANY_SMALL), (SLUICE, SMALL))
    kept = [*cells, *(cell for cell in sweep if cell.case != FIRST)]
    return {"cells": [cell.summary() for cell in kept], "ratios": ratios}


def table(found: dict[str, Any]) -> str:
    """Return the result as lines to read."""
    lines = []
    for cell in found["cells"]:
        case, median = Case(**cell["case"]), cell["median"]
        lines.append(
            f"{cell['contender']:46} {case.name:44} {median['records_per_s']:>9,.0f} records/s "
            f"{median['cpu_us_per_message']:8,.1f} us/message  p50 {median['p50_ms']:.1f} ms"
        )
    lines += [f"{name}: {value['median']}" for name, value in found["ratios"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="of each contender (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.6, help="of each round (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = asyncio.run(measure(options.rounds, options.seconds))
    conditions = {"machine": before, "rounds": options.rounds, "seconds": options.seconds}
    RESULT.write_text(json.dumps(conditions | found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
