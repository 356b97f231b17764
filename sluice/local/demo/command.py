"""`sluice demo`: three streams of real data through the whole system, and a check that all of it arrived.

start the system ──> publish as fast as possible ──> deliver some twice
                     (the feeds are followed meanwhile)
──> read everything again ──> compare with the plan ──> show it ──> serve until Ctrl-C (--exit: end)
"""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp
from google.api_core.exceptions import GoogleAPICallError
from rich.console import Console

from sluice.local.bigquery.errors import LocalBigQueryError
from sluice.local.child import ChildError
from sluice.local.declared import Declared
from sluice.local.demo.checks import Check, Row
from sluice.local.demo.plan import Plan, Rows, make_plan
from sluice.local.demo.run import Result, new_run_id, run_plan
from sluice.local.environment import (
    LocalStack,
    StackOptions,
    add_stack_arguments,
    installed,
    unless_stopped,
)
from sluice.local.flights import load
from sluice.local.flights.record import Flight
from sluice.local.keep_serving import keep_serving
from sluice.local.reasons import reason
from sluice.local.shutdown import stop_requested
from sluice_client.errors import SluiceError

DECLARED = Declared(streams="sluice.local.flights.streams:STREAMS")
DATA_PATH = Path("data/demo.duckdb")
INTERRUPTED = 130
SHOWN_PROBLEMS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sluice demo`."""
    parser.add_argument("--exit", action="store_true", help="end after the checks: 0 if all held, else 1")
    parser.add_argument(
        "--flights", type=_count, metavar="N", help="publish N flights and N observations of the weather (default: all)"
    )
    parser.add_argument("--data-path", type=Path, default=DATA_PATH, help="the store (default: %(default)s)")
    add_stack_arguments(parser)


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; 0 if every check held, 1 if not, 2 for a wrong command line."""
    console = Console()
    try:
        plan = make_plan(rows(args.flights), new_run_id())
    except ValueError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    try:
        options = StackOptions(
            declared=DECLARED,
            data_path=args.data_path,
            port=args.port,
            bigquery=installed(args.backend, console.print),
            log_dir=args.data_path.with_suffix(".logs"),
        )
        return asyncio.run(demonstrate(console, options, plan, ends=args.exit))
    except LocalBigQueryError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.status
    except (ChildError, SluiceError, GoogleAPICallError, aiohttp.ClientError, OSError) as error:
        print(f"demo: {reason(error)}", file=sys.stderr)
        return 1


def rows(flights: int | None) -> Rows:
    """Return the records of the demonstration: as many flights and as many observations of the weather; None: all."""
    hours = sorted(load.weather_rows(), key=lambda row: (row["observed_time"], row["origin"]))
    return Rows(
        flights=list(itertools.islice(load.rows(), flights)),
        weather=hours[: None if flights is None else flights],
        airports=list(load.airport_rows()),
    )


async def demonstrate(console: Console, options: StackOptions, plan: Plan, *, ends: bool) -> int:
    """Start the system, run the plan, show the result; then serve, or end."""
    with stop_requested() as stop:
        bigquery = "" if options.bigquery is None else ", local-bigquery"
        console.print(f"Starting the local Pub/Sub{bigquery} and the service …")
        async with LocalStack(options) as stack:
            console.print(f"The service is at {stack.url}, its log in {options.log_dir}", highlight=False)
            result = await unless_stopped(run_plan(console, stack, plan), stack, stop)
            if result is None:
                return INTERRUPTED
            status = show_result(console, result)
            console.print(f"\nThe records are in {stack.options.store_path}.", markup=False, highlight=False)
            if not ends:
                show_invitation(console, stack.url, _first_flight_id(plan))
                console.print("\nServing until Ctrl-C.")
                say = partial(console.print, markup=False, highlight=False, soft_wrap=True)  # logs may hold brackets
                status = max(status, await keep_serving(stack, stop, say))
    for name, left in stack.exit_statuses.items():
        if left != 0:
            console.print(f"{name}: expected to end with status 0, found {left}", style="bold red")
            status = 1
    return status


def show_result(console: Console, result: Result) -> int:
    """Show all results of the run; return 0 if every check held, else 1."""
    show_rejects(console, result.rejected)
    show_checks(console, result.checks)
    return 0 if all(check.holds for check in result.checks) else 1


def _first_flight_id(plan: Plan) -> str:
    return next(
        flight.id for message in plan.messages for flight in message.good.values() if isinstance(flight, Flight)
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
