"""How `POST /pubsub/push` should be answered: four ways to read a body and send 204, nothing else.

    bare      an ASGI function under the server
    short     the same function, reached by `Sluice.__call__` before the framework's layers
    mounted   the same function, mounted in a Litestar application
    route     a Litestar route handler that reads the body

Each contender is a fresh process on one core, loaded from the other; the order alternates over the rounds, and
what counts is the ratio to `bare` in the same round. Writes bench/results/push_handlers.json.
"""

import argparse
import asyncio
import json
import statistics
from typing import Any

import msgspec

from bench.ingest.ceilings import SHORT
from bench.ingest.contenders import Cores, running
from bench.ingest.messages import Case
from bench.ingest.rounds import load, order_of
from bench.machine import machine
from bench.places import RESULTS

RESULT = RESULTS / "push_handlers.json"
CONTENDERS = {"bare": "bare", "short": SHORT, "mounted": "litestar mounted", "route": "litestar route"}
"""By what bench.ingest.ceilings calls them."""
_WARM_S = 1.0


async def measure(contender: str, connections: int, seconds: float) -> float:
    """Return the requests a second that `contender` answers."""
    cores = Cores.of_this_machine()
    words = ["bench.ingest.ceilings", CONTENDERS[contender]]
    async with running(contender, words, {}, cores.service) as started:
        order = order_of([started], Case(in_flight=connections), seconds)
        loaded = await load(msgspec.structs.replace(order, warm_s=_WARM_S), cores.load)
    if loaded.failed:
        raise SystemExit(f"{contender}: {loaded.failed} of {loaded.answered} pushes were not answered 204")
    return loaded.messages / loaded.seconds


async def run(count: int, connections: int, seconds: float) -> list[dict[str, float]]:
    """Return the requests a second of every contender in each of `count` rounds."""
    rounds: list[dict[str, float]] = []
    for number in range(count):
        order = list(CONTENDERS)[:: 1 if number % 2 == 0 else -1]
        rounds.append({each: await measure(each, connections, seconds) for each in order})
    return rounds


def main() -> None:
    """Measure every contender in every round; write the results and print their ratios."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest.push_handlers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each measurement takes")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    rounds = asyncio.run(run(options.rounds, options.connections, options.seconds))
    report: dict[str, Any] = {
        "machine": machine(),
        "connections": options.connections,
        "rounds": rounds,
        "ratio_to_bare": {
            each: round(statistics.median(r[each] / r["bare"] for r in rounds), 3) for each in CONTENDERS
        },
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    for each in CONTENDERS:
        median = statistics.median(r[each] for r in rounds)
        print(f"{each:8} {median:8.0f} requests/s   {report['ratio_to_bare'][each]:.2f} of bare")


if __name__ == "__main__":
    main()
