"""How old the feed is, and what that costs: `python -m bench.price.fresh`, `make bench-fresh`.

Ages are measured over local-bigquery, which answers a query within tenths of a second, whereas BigQuery takes about a
second. Prices are those of the model (bench.price). It takes ten minutes. Writes bench/results/fresh.json.
"""

import argparse
import asyncio
import json
from typing import Any

import msgspec

from bench.machine import machine_before
from bench.places import RESULTS
from bench.price.freshness import Freshness, ages
from bench.price.readers import Way, price_of
from bench.tables import write_tables
from tests.support.billing.bill import Layout

_RATE = 1_000
_READERS = ("a follower, by pages", "ten followers", "a dashboard, every 5 s")


async def _cell(age: Freshness) -> dict[str, Any]:
    layout = Layout(clustered_by="ingest_time", id_index=True)
    way = Way(layout, poll_s=age.poll_s)
    dollars = {reader: (await price_of(reader, way, _RATE)).dollars_per_month for reader in _READERS}
    return {**msgspec.to_builtins(age), "dollars_per_month": dollars}


def measure() -> dict[str, Any]:
    """Return the ages and the prices of each way to run the service."""
    machine = machine_before()
    cells = [asyncio.run(_cell(age)) for age in ages()]
    return {"machine": machine, "rows_per_s": _RATE, "cells": cells}


def main() -> None:
    """Measure, print, and keep the result."""
    argparse.ArgumentParser(
        prog="python -m bench.price.fresh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = measure()
    (RESULTS / "fresh.json").write_text(json.dumps(found, indent=2) + "\n")
    write_tables()
    for cell in found["cells"]:
        print(cell)


if __name__ == "__main__":
    main()
