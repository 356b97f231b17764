"""What reading costs on BigQuery, by a model of its bill: `python -m bench.price`, `make bench-price` (five minutes).

Readers run in virtual time over the service's own code and a table of 1 KB records; each statement that they send is
parsed, and billed by the rules of tests/support/billing/bill.py. Writes bench/results/price.json.
"""

import argparse
import asyncio
import json
from typing import Any

import msgspec

from bench.machine import machine_before
from bench.places import RESULTS
from bench.price.at_hand import pages_at_hand
from bench.price.readers import READERS, Way, price_of
from tests.support.billing.bill import Layout

RATES = (1_000, 10_000)
DENSE = 100_000  # where only the last way is worth a look, and only for readers who are alone
WAYS = (
    Way("each page a query, table clustered by id", Layout(), chunks=False),
    Way("settled chunks, table clustered by id", Layout(), chunks=True),
    Way("each page a query, clustered by ingest_time", Layout(clustered_by="ingest_time"), chunks=False),
    Way("settled chunks, clustered by ingest_time", Layout(clustered_by="ingest_time", id_index=True), chunks=True),
)


async def measure() -> dict[str, Any]:
    """Return the price of each reader, each way, at each rate."""
    machine = machine_before()
    asked = [(rate, way, reader) for rate in RATES for way in WAYS for reader in READERS]
    asked += [(DENSE, WAYS[-1], reader) for reader in READERS if reader != "ten followers"]
    cells = [
        {"rows_per_s": rate, "way": way.name, "reader": reader} | msgspec.to_builtins(await price_of(reader, way, rate))
        for rate, way, reader in asked
    ]
    at_hand = msgspec.to_builtins(await pages_at_hand(WAYS[-1]))
    return {"machine": machine, "layout": msgspec.to_builtins(Layout()), "at_hand": at_hand, "cells": cells}


def main() -> None:
    """Reckon, print, and keep the result."""
    argparse.ArgumentParser(
        prog="python -m bench.price", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = asyncio.run(measure())
    (RESULTS / "price.json").write_text(json.dumps(found, indent=2) + "\n")
    print(found["at_hand"])
    for cell in found["cells"]:
        million, month = cell["dollars_per_million"], cell["dollars_per_month"]
        told = "refused" if million is None else f"${million:,.4f} a million"
        print(
            f"{cell['rows_per_s']:>7,}/s  {cell['way']:45} {cell['reader']:25} {told}"
            + ("" if month is None else f", ${month:,.0f} a month")
        )


if __name__ == "__main__":
    main()
