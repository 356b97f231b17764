"""The output of the demonstration on the terminal."""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sluice.local.demo.checks import Check, Row
from sluice.local.demo.figures import Percentiles

SHOWN_PROBLEMS = 5


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a run; rates are per second."""

    by_stream: Sequence[tuple[str, int, int, int]]
    """The name of each stream, its messages, records and rejects; an empty name: of no stream."""
    published_rate: float
    stored_rate: float
    queryable_s: float
    """From the first publication of the flood until all of it was read from the API."""
    read_rate: float
    pages: int
    flood_acknowledged_ms: dict[str, float]
    """publish_to_ack_ms of the pusher when the flood was over."""
    flood_queryable: Percentiles | None
    steady_queryable: Percentiles | None
    steady_rate: float
    duplicates: int


def progress_bars(console: Console) -> Progress:
    """Return bars with a description, a count and the time."""
    return Progress(
        TextColumn("  {task.description:<22}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show_figures(console: Console, figures: Figures) -> None:
    """Show the rates and the latencies."""
    streams = Table(title="\nWhat each stream stored", title_justify="left")
    for heading in ("", "messages", "records", "rejects"):
        streams.add_column(heading, justify="left" if not heading else "right")
    for name, *counts in figures.by_stream:
        streams.add_row(name or "of no stream", *(f"{count:,}" for count in counts))
    console.print(streams)
    table = Table(title="\nWhat was measured", title_justify="left", show_header=False)
    table.add_row("published", f"{figures.published_rate:,.0f} messages/s")
    table.add_row("stored", f"{figures.stored_rate:,.0f} records/s")
    table.add_row("first publication to all readable", f"{figures.queryable_s:.1f} s")
    table.add_row("read back", f"{figures.read_rate:,.0f} records/s in {figures.pages} pages")
    table.add_row("delivered twice, returned once", f"{figures.duplicates} messages")
    console.print(table)
    latencies = Table(title="\nLatency from publication", title_justify="left")
    for heading in ("", "p50", "p95", "p99", "max"):
        latencies.add_column(heading, justify="left" if not heading else "right")
    flood = figures.flood_acknowledged_ms
    latencies.add_row("flat out: acknowledged", *(f"{flood[at]:,.0f} ms" for at in _POINTS))
    latencies.add_row("flat out: readable", *_milliseconds(figures.flood_queryable))
    latencies.add_row(f"{figures.steady_rate:g} a second: readable", *_milliseconds(figures.steady_queryable))
    console.print(latencies)
    console.print(
        "  At full speed, a message mostly waits behind the others in Pub/Sub. Readable: returned by the API."
    )


def show_rejects(console: Console, titled: Sequence[tuple[str, Row]]) -> None:
    """Show the rejects and the reasons: (the defect, the row of the rejects)."""
    console.print("\n[italic]Rejected messages and the reasons (GET /v1/rejects)[/]")
    for title, row in titled:
        console.print(f"  {title}", markup=False, highlight=False)
        where = f" at {row['field']}" if row["field"] else ""
        line = f"      {row['reason']}{where}: {row['detail']}"
        console.print(line, style="dim", markup=False, highlight=False, no_wrap=True, overflow="ellipsis")


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    """Show every check; for failed ones, what was expected and found."""
    console.print("\n[italic]What was checked[/]")
    for check in checks:
        mark = "[green]holds[/]" if check.holds else "[bold red]FAILS[/]"
        console.print(f"  {mark}  {check.title}")
        for problem in check.problems[:SHOWN_PROBLEMS]:
            console.print(f"         {problem}", markup=False, highlight=False, soft_wrap=True)
        if len(check.problems) > SHOWN_PROBLEMS:
            console.print(f"         and {len(check.problems) - SHOWN_PROBLEMS:,} more")


def show_invitation(console: Console, url: str, flight_id: str) -> None:
    """Show commands to try while the service runs."""
    console.print("Try:")
    for line in curl_lines(url, flight_id):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def curl_lines(url: str, flight_id: str) -> list[str]:
    """Return seven commands that show what the API does."""
    wrong = '{"id": "2013-01-01-UA-1545-EWR", "carrier": "United"}'
    return [
        f"curl '{url}/v1/records?since=-PT15M&limit=2'",
        f"curl '{url}/v1/records?since=-PT15M&limit=5&format=ndjson'",
        f"curl '{url}/v1/records/{flight_id}'",
        f"curl '{url}/v1/streams'",
        f"curl '{url}/v1/streams/weather/records?since=-PT15M&limit=2'",
        f"curl '{url}/v1/rejects?since=-PT15M&limit=3'",
        f"curl '{url}/v1/records' -H 'Content-Type: application/json' -d '{wrong}'",
    ]


_POINTS = ("p50", "p95", "p99", "max")


def _milliseconds(percentiles: Percentiles | None) -> list[str]:
    if percentiles is None:
        return ["-"] * len(_POINTS)
    return [
        f"{seconds * 1000:,.0f} ms"
        for seconds in (percentiles.p50_s, percentiles.p95_s, percentiles.p99_s, percentiles.max_s)
    ]
