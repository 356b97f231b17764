"""`sluice bigquery`: install local-bigquery, run it, create the service's tables, and print its address."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import msgspec

from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import LocalBigQueryError
from sluice.local.bigquery.install import Installation, install
from sluice.local.bigquery.process import LocalBigQuery, service_settings
from sluice.local.child import ChildError, Leash
from sluice.local.declared import add_declared_arguments, declared_by
from sluice.local.ports import choose_port, port_number
from sluice.local.reasons import reason
from sluice.local.shutdown import stop_requested

REST_PORT, STORAGE_PORT = 9050, 9060
"""The preferred ports, if they are free."""
STOP_WITHIN_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sluice bigquery`."""
    add_declared_arguments(parser)
    folder = Path("data/local.bigquery")
    parser.add_argument("--folder", type=Path, default=folder, help="for data and log (default: %(default)s)")
    parser.add_argument("--port", type=port_number, help=f"of the REST API (default: {REST_PORT}, or a free one)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="for programs: use free ports, print one line of JSON when ready, and exit when standard input ends",
    )


def run(args: argparse.Namespace) -> int:
    """Install it, run it, and serve until Ctrl-C; return 3 if there is no Python that it runs on."""
    try:
        installation = install(_say)
        return asyncio.run(serve(installation, args))
    except LocalBigQueryError as error:
        _say(str(error))
        return error.status
    except (ChildError, OSError) as error:
        _say(reason(error))
        return 1


async def serve(installation: Installation, args: argparse.Namespace) -> int:
    """Run it until stopped; return 1 if it ended unexpectedly or did not stop cleanly."""
    from sluice.local.bigquery.provision import provision, tables_of  # noqa: PLC0415 - `up` imports this module, too

    tables = tables_of(declared_by(args))
    ports = None if args.json else (choose_port(args.port, REST_PORT), choose_port(None, STORAGE_PORT))
    with stop_requested() as stop:
        async with AsyncExitStack() as undo:
            leash = await undo.enter_async_context(Leash())
            running = await LocalBigQuery.start(installation, leash, args.folder, ports)
            undo.push_async_callback(running.child.stop, STOP_WITHIN_S)
            await running.wait_until_ready()
            await asyncio.to_thread(provision, running.place, tables)
            if args.json:
                print(msgspec.json.encode(running.place).decode(), flush=True)
                undo.enter_context(_ends_with_input(stop))
            else:
                shown = (describe_place(running.place), describe_settings(running.place), "  Ctrl-C stops it.")
                print(*shown, sep="\n", flush=True)
            return await _until(stop, running)


@contextmanager
def _ends_with_input(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when standard input, a pipe, ends: the process at the other end has died."""
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(sys.stdin)
        stop.set()

    loop.add_reader(sys.stdin, ended)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin)


async def _until(stop: asyncio.Event, running: LocalBigQuery) -> int:
    """Wait for `stop`; if the process ends first, report it and return 1."""
    stopping, ended = asyncio.create_task(stop.wait()), asyncio.create_task(running.child.process.wait())
    try:
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            _say(f"local-bigquery exited with status {ended.result()}{running.child.tail()}")
            return 1
        return 0
    finally:
        stopping.cancel()
        ended.cancel()


def describe_place(place: TableAddress) -> str:
    """Describe where it is and how to inspect it."""
    return f"""
  BigQuery     REST {place.rest_url}, gRPC {place.storage_url}, dataset {place.project}.{place.dataset}
               {bq_command(place)} ls {place.dataset}
"""


def describe_settings(place: TableAddress) -> str:
    """Return the settings for a service that stores there, in shell syntax."""
    exports = [f"    export {name}={value}" for name, value in service_settings(place).items()]
    return "\n".join(["  A service of your own stores there with", *exports, "    sluice serve", ""])


def bq_command(place: TableAddress) -> str:
    """Return the `bq` command for it; the given token keeps `bq` from asking for one or sending a real one."""
    return f"bq --api={place.rest_url} --project_id={place.project} --oauth_access_token=none"


def _say(text: str) -> None:
    print(f"bigquery: {text}", file=sys.stderr, flush=True)
