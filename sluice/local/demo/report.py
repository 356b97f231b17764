"""The output of the demonstration on the terminal."""

from collections.abc import Sequence

from rich.console import Console

from sluice.local.demo.checks import Check, Row

SHOWN_PROBLEMS = 5


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
