"""What streams cost on the way in: ten busy ones on one core, against a deployment with a single type.

    python -m bench.ingest.streams            make bench-streams (two minutes)

The same load goes to both services in turn, spread evenly over the ten streams' paths: one record a message, then a
hundred. A ratio of the rates is the median of the pairs of rounds; it should be 0.9. Writes bench/results/streams.json.
"""

import argparse
import asyncio
import json
from typing import Any

import msgspec

from bench.ingest.cells import ratio
from bench.ingest.compare import FIRST
from bench.ingest.contenders import SLUICE, TEN_STREAMS
from bench.ingest.rounds import compare
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "streams.json"
_CASES = (FIRST, msgspec.structs.replace(FIRST, records=100, in_flight=64))


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return the cells of both, and the ratios of their rates by the number of records in a message."""
    cells = await compare([SLUICE, TEN_STREAMS], _CASES, rounds=rounds, seconds=seconds)
    ratios = {
        f"{TEN_STREAMS} / {SLUICE}, {case.records} a message": ratio(cells, (TEN_STREAMS, case), (SLUICE, case))
        for case in _CASES
    }
    return {"cells": [cell.told() for cell in cells], "ratios": ratios}


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
