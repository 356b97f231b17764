"""What streams cost on the way in: ten busy ones on one core, against a deployment with a single type.

    python -m bench.ingest.streams            make bench-streams (about a minute)

The same load goes to both services in turn, spread evenly over the ten streams' paths. The ratio of the rates is the
median of the pairs of rounds; the promise is 0.9. Writes bench/results/streams.json.
"""

import argparse
import asyncio
import json
from typing import Any

from bench.ingest.cells import ratio
from bench.ingest.compare import FIRST
from bench.ingest.contenders import SLUICE, TEN_STREAMS
from bench.ingest.rounds import compare
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "streams.json"


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return both cells and the ratio of their rates."""
    cells = await compare([SLUICE, TEN_STREAMS], [FIRST], rounds=rounds, seconds=seconds)
    return {
        "cells": [cell.told() for cell in cells],
        "ratios": {f"{TEN_STREAMS} / {SLUICE}": ratio(cells, (TEN_STREAMS, FIRST), (SLUICE, FIRST))},
    }


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest.streams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="of each service (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = asyncio.run(measure(options.rounds, options.seconds))
    told = {"machine": before, "rounds": options.rounds, "seconds": options.seconds}
    RESULT.write_text(json.dumps(told | found, indent=2) + "\n")
    for cell in found["cells"]:
        print(f"{cell['contender']:24} {cell['median']['messages_per_s']:>9,.0f} messages/s")
    for name, value in found["ratios"].items():
        print(f"{name}: {value['median']}")


if __name__ == "__main__":
    main()
