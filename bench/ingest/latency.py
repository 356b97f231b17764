"""What the service adds to the store's acknowledgement, at half and at nine tenths of the load that it can bear.

The load is open: messages fall due at random moments, whatever became of the earlier ones, and the time of each counts
from when it was due (bench/ingest/load.py). The store takes 20 ms, which are subtracted; what is left is the service,
the way there and back, and the load's own pace of a tenth of a millisecond. The waiting ceiling under the same load
says how much of it is no service's doing. Writes bench/results/latency.json.
"""

import argparse
import asyncio
import json
import statistics
from typing import Any

import msgspec

from bench.ingest.contenders import SLUICE
from bench.ingest.load import Loaded
from bench.ingest.messages import Case
from bench.ingest.rounds import contenders, field_of, one_round
from bench.machine import machine_before
from bench.places import RESULTS

RESULT = RESULTS / "latency.json"
CASE = Case(in_flight=512)
CONNECTIONS = 1_500  # of the open load, so that one is always free
LOADS = (0.5, 0.9)
_SHARES = {"p50": 0, "p99": 2, "p99.9": 3}
_WARM_S = 1.0


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return the most that the service bears, and what each contender adds at parts of that."""
    open_case = msgspec.structs.replace(CASE, in_flight=CONNECTIONS)
    async with field_of(CASE.ack_ms) as field, contenders(field, [SLUICE, "waiting"], CASE.ack_ms) as started:
        service = started[0]
        await one_round(field, service, CASE, _WARM_S)
        most = [await one_round(field, service, CASE, seconds / 2) for _ in range(rounds)]
        most_per_s = statistics.median(each.messages / each.seconds for each in most)
        cells = []
        for share in LOADS:
            found: dict[str, list[Loaded]] = {contender.name: [] for contender in started}
            for _ in range(rounds):  # in turn, so that a stall of the machine is one round's and one contender's
                for contender in started:
                    loaded = await one_round(field, contender, open_case, seconds, most_per_s * share)
                    found[contender.name].append(loaded)
            cells += [_cell(name, share, each) for name, each in found.items()]
    return {"ack_ms": CASE.ack_ms, "most_per_s": round(most_per_s, 1), "cells": cells}


def _cell(name: str, share: float, found: list[Loaded]) -> dict[str, Any]:
    added = {
        quantile: round(statistics.median(each.times_ms[place] for each in found) - CASE.ack_ms, 2)
        for quantile, place in _SHARES.items()
    }
    per_s = statistics.median(each.messages / each.seconds for each in found)
    cores = statistics.median(each.cpu_s / each.seconds for each in found)
    return {
        "contender": name,
        "load": share,
        "messages_per_s": round(per_s, 1),
        "cores": round(cores, 3),
        "added_ms": added,
        "worst_p99_ms": round(max(each.times_ms[_SHARES["p99"]] for each in found) - CASE.ack_ms, 2),
    }


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each contender and load (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.4, help="of each round (default: %(default)s)")
    options = parser.parse_args()
    before = machine_before()
    found = asyncio.run(measure(options.rounds, options.seconds))
    text = json.dumps({"machine": before, **found}, indent=2)
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
