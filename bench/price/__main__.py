"""What reading costs on BigQuery, by a model of its bill: `python -m bench.price`, `make bench-price` (ten minutes).

Readers run in virtual time over the service's own code and a table of 1 KB records; each statement that they send is
parsed, and billed by the rules of tests/support/billing/bill.py. Writes bench/results/price.json.
"""

import asyncio
import json
from typing import Any

import msgspec

from bench.machine import machine_before
from bench.places import RESULTS
from bench.price.readers import READERS, Way, price_of
from bench.tables import write_tables
from tests.support.billing.bill import Layout

RATES = (1_000, 10_000, 100_000)
DENSE = RATES[-1]  # where only readers who are alone are worth a look
WAY = Way(Layout(clustered_by="ingest_time", id_index=True))


async def measure() -> dict[str, Any]:
    """Return the price of each reader at each rate."""
    machine = machine_before()
    cells = [
        {"rows_per_s": rate, "reader": reader} | msgspec.to_builtins(await price_of(reader, WAY, rate))
        for rate in RATES
        for reader in READERS
        if rate < DENSE or "followers" not in reader
    ]
    return {"machine": machine, "layout": msgspec.to_builtins(Layout()), "cells": cells}


def main() -> None:
    """Reckon, print, and keep the result."""
    found = asyncio.run(measure())
    (RESULTS / "price.json").write_text(json.dumps(found, indent=2) + "\n")
    write_tables()
    for cell in found["cells"]:
        million, month = cell["dollars_per_million"], cell["dollars_per_month"]
        text = "refused" if million is None else f"${million:,.4f} a million"
        print(
            f"{cell['rows_per_s']:>7,}/s  {cell['reader']:25} {text}"
            + ("" if month is None else f", ${month:,.0f} a month")
        )


if __name__ == "__main__":
    main()
