"""What streams cost on the way in: ten busy ones on one core, against a deployment with a single type.

    python -m bench.ingest.streams            make bench-streams (three minutes)

The same load goes to both services in turn, spread evenly over the ten streams' paths: one record a message, then a
hundred, then one over a store that takes 100 ms. A ratio is the median of the pairs of rounds: of the rates, which
should be 0.9, and of what a full core would do, which is less noisy. Writes bench/results/streams.json.
"""

import argparse
import asyncio
import json
from typing import Any

import msgspec

from bench.ingest.cells import ratio
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import SLUICE, TEN_STREAMS
from bench.ingest.rounds import compare
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "streams.json"
_CASES = (FIRST, MANY, msgspec.structs.replace(FIRST, ack_ms=100.0))


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return the cells of both, and for each case the ratios of their rates and of their rates on a full core."""
    cells = await compare([SLUICE, TEN_STREAMS], _CASES, rounds=rounds, seconds=seconds)
    ratios = {
        f"{TEN_STREAMS} / {SLUICE}, {case.name}{words}": ratio(
            cells, (TEN_STREAMS, case), (SLUICE, case), per_core=per_core
        )
        for case in _CASES
        for per_core, words in ((False, ""), (True, ", on a full core"))
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
