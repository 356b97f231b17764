"""The table of what reading costs on BigQuery, by the model of tests/support/billing."""

from bench.report.figures import table
from bench.report.results import Fresh, Price, PriceCell


def price(found: Price) -> list[str]:
    """Return what each reader pays, each way, at each rate."""
    lines: list[str] = []
    for rate in dict.fromkeys(cell.rows_per_s for cell in found.cells):
        ways = list(dict.fromkeys(cell.way for cell in found.cells if cell.rows_per_s == rate))
        cells = {(cell.reader, cell.way): cell for cell in found.cells if cell.rows_per_s == rate}
        readers = list(dict.fromkeys(reader for reader, _ in cells))
        head = (f"{rate:,} records/s, of 1 KB", *ways)
        rows = [(reader, *(_told(cells[reader, way]) for way in ways)) for reader in readers]
        lines += [*table(head, rows), ""]
    layout, hand = found.layout, found.at_hand
    return [
        *lines,
        f"A page of {hand.rows:,} records as JSON from a chunk at hand takes {hand.p50_ms:,.1f} ms at the median and "
        f"{hand.p95_ms:,.1f} ms at p95. The first page of a stretch takes "
        f"{plural(hand.cold_queries)}.",
        "",
        "Dollars a million records read; for ids, a million look-ups; in brackets, dollars a month, of the ten "
        "together. *Refused*: BigQuery's upper bound, which ignores clustering, exceeds the limit of a query.",
        "",
        f"Assumed, as BigQuery does not document it: blocks of {layout.block_bytes / 1e6:,.0f} MB, rows that are not "
        f"clustered for {layout.fresh_s:g} s (where they lie, in `__UNPARTITIONED__`, they may stay longer, and a "
        "follower pays in proportion; `make test-cloud` measures it), and a subquery that is named twice billed twice.",
    ]


def fresh(found: Fresh) -> list[str]:
    """Return how old the feed is with each choice of settings, and what readers pay for it."""
    readers = list(found.cells[0].dollars_per_month)
    head = ("SLUICE_WATERMARKS", "SLUICE_POLL_S", "p50, s", "p99, s", *(f"{each}, $ a month" for each in readers))
    rows = [
        (
            cell.watermarks,
            f"{cell.poll_s:g}",
            f"{cell.p50_s:.1f}",
            f"{cell.p99_s:.1f}",
            *(_month(cell.dollars_per_month[each]) for each in readers),
        )
        for cell in found.cells
    ]
    return [
        *table(head, rows),
        "",
        "Seconds from handing a record to the writer until a reader that asks all the time may see it: three instances "
        f"write, local-bigquery answers. Dollars are for {found.rows_per_s:,} records/s, by the model above. Without "
        "watermarks, the horizon advances once a poll too, which adds up to 8.4 s.",
    ]


def _month(dollars: float | None) -> str:
    return "refused" if dollars is None else f"{dollars:,.0f}"


def plural(queries: int) -> str:
    """Return a number of queries in words."""
    return "one query" if queries == 1 else f"{queries} queries"


def _told(cell: PriceCell) -> str:
    if cell.dollars_per_million is None:
        return "refused"
    million = (
        f"{cell.dollars_per_million:,.3g}" if cell.dollars_per_million < 1_000 else f"{cell.dollars_per_million:,.0f}"
    )
    return million if cell.dollars_per_month is None else f"{million} ({cell.dollars_per_month:,.0f})"
