"""The whole system on a laptop: local Pub/Sub, pusher, token issuer and the service, each in its own process.

`LocalStack` runs it, for `sluice up` (sluice/local/up.py) and for the demonstration.
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import BackendError
from sluice.local.bigquery.install import Installation, install
from sluice.local.bigquery.process import LocalBigQuery, service_settings
from sluice.local.child import Child, ChildCommand, ChildError, Leash
from sluice.local.declared import Declared, without_declaration
from sluice.local.ports import HOST, choose_port, is_available, port_number, quiet_ports
from sluice.local.signing import VARIABLE, local_secret
from sluice.local.stack_settings import Ready

SERVICE_PORT, PUBSUB_PORT, ISSUER_PORT = 8080, 8085, 8086
"""The preferred ports, if they are free; the other commands try them first."""
BIGQUERY_OUTSTANDING = 1_000
"""The most pushes in flight while responses come within a second."""
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0
NEWS_WITHIN_S = 1.0
_POLL_S = 0.05

_Result = TypeVar("_Result")


class StackOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. Without `log_dir` the processes write to this process's output.

    With `bigquery`, records are stored in a local-bigquery, in a folder next to `data_path`; otherwise in that file.
    """

    declared: Declared = Declared()
    data_path: Path = Path("data/sluice.duckdb")
    port: int | None = None
    bigquery: Installation | None = None
    log_dir: Path | None = None

    @property
    def store_path(self) -> Path:
        """Where the records are: a file, or local-bigquery's folder."""
        return self.data_path if self.bigquery is None else self.data_path.with_suffix(".bigquery")


class LocalStack:
    """An asynchronous context manager around the running system.

    Raises on entry:
        ChildError: a process ended or was not ready in time; the message carries the end of its log.
        OSError: the requested port is in use.
        LocalBigQueryError: its tables could not be created.
        RecordTypeError: the streams cannot be used.
    """

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.exit_statuses: dict[str, int] = {}
        """After the exit: the status of each process, by name; a negative one is the signal that killed it."""
        self.pubsub: Ready
        self.place: TableAddress | None = None
        """The location of the records in BigQuery, if they are stored there."""
        self.url: str
        self.streams: tuple[str, ...] = ()
        """The streams that have a topic of their own beside the shared one."""
        self.children: list[Child] = []
        self.service: Child
        """That child which is the service; another one after a restart."""
        self._leash: Leash
        self._port: int

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is ready."""
        if self.options.declared.streams:
            self.streams = tuple(self.options.declared.load().by_name)
        self._port = choose_port(self.options.port, preferred=SERVICE_PORT)
        self.url = f"http://{HOST}:{self._port}"
        async with AsyncExitStack() as undo:
            self._leash = await undo.enter_async_context(Leash())
            undo.push_async_callback(self._stop)
            await self._start_pubsub(self._leash)
            if self.options.bigquery is not None:
                self.place = await self._start_bigquery(self._leash, self.options.bigquery)
            await self._start_service()
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything, the service first."""
        await self._undo.aclose()

    async def first_exit(self) -> Child:
        """Wait until a process ends unexpectedly and return it."""
        waits = {asyncio.create_task(child.process.wait()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return waits[done.pop()]

    async def _start_pubsub(self, leash: Leash) -> None:
        ports = choose_port(None, preferred=PUBSUB_PORT), choose_port(None, preferred=ISSUER_PORT)
        try:
            await self._start_pubsub_at(leash, *ports)
        except ChildError:
            if all(is_available(port) for port in ports):
                raise
            # Another process, such as a second stack, bound a port after it was chosen.
            await self.children.pop().stop(STOP_WITHIN_S)
            await self._start_pubsub_at(leash, *quiet_ports(2))

    async def _start_pubsub_at(self, leash: Leash, port: int, issuer_port: int) -> None:
        options = self.options
        named = {
            "--push-endpoint": f"{self.url}/pubsub/push",
            "--port": str(port),
            "--issuer-port": str(issuer_port),
        }
        if options.bigquery is not None:
            # For a local-bigquery, an append costs nearly the same with ten rows as with a thousand.
            named["--max-outstanding"] = str(BIGQUERY_OUTSTANDING)
        arguments = ["-P", "-m", "sluice", "pubsub", *chain.from_iterable(named.items())]
        arguments += chain.from_iterable(("--stream", name) for name in self.streams)
        command = ChildCommand(name="pubsub", arguments=arguments, reads_output=True)
        child = await Child.start(command, leash, options.log_dir)
        self.children.append(child)
        line = await child.first_line(READY_WITHIN_S)
        try:
            self.pubsub = msgspec.json.decode(line, type=Ready)
        except msgspec.DecodeError as error:
            raise ChildError(f"pubsub reported its address as {line!r}: {error}") from error

    async def _start_bigquery(self, leash: Leash, installation: Installation) -> TableAddress:
        from sluice.local.bigquery.provision import provision, tables_of  # noqa: PLC0415 - its client takes half a second

        tables = tables_of(self.options.declared)
        running = await LocalBigQuery.start(installation, leash, self.options.store_path)
        self.children.append(running.child)
        await running.wait_until_ready()
        await asyncio.to_thread(provision, running.place, tables)
        return running.place

    async def restart_service(self) -> None:
        """Start the service again, after it has ended.

        Raises:
            ChildError: it ended again, or was not ready in time.
        """
        self.children.remove(self.service)
        await self.service.stop(STOP_WITHIN_S)
        await self._start_service()

    async def _start_service(self) -> None:
        secret = os.environ.get(VARIABLE) or local_secret(self.options.data_path.parent)
        environ = service_environ(self.options, self.pubsub, self._port, self.place, secret)
        command = ChildCommand(name="service", arguments=["-P", "-m", "app"], environ=environ)
        self.service = await Child.start(command, self._leash, self.options.log_dir)
        self.children.append(self.service)
        await self.service.require(wait_until_ready(self.url), READY_WITHIN_S)

    async def _stop(self) -> None:
        # The service first: it answers its admitted pushes while the pusher is still running.
        for child in reversed(self.children):
            self.exit_statuses[child.name] = await child.stop(STOP_WITHIN_S)


def service_environ(
    options: StackOptions, pubsub: Ready, port: int, place: TableAddress | None, secret: str
) -> dict[str, str]:
    """Return this process's environment plus the settings that connect the service to Pub/Sub and the store.

    `secret` signs canaries and replays.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PORT"}
    embedded = {"SLUICE_BACKEND": "embedded", "SLUICE_DATA_PATH": str(options.data_path)}
    store = embedded if place is None else service_settings(place)
    return (
        without_declaration(kept) | store | options.declared.environ() | connections(pubsub, port) | {VARIABLE: secret}
    )


def connections(pubsub: Ready, port: int) -> dict[str, str]:
    """Return the settings that connect a service on `port` to Pub/Sub."""
    return {
        "SLUICE_HOST": HOST,
        "SLUICE_PORT": str(port),
        "SLUICE_PUSH_AUDIENCE": pubsub.audience,
        "SLUICE_PUSH_PRINCIPALS": pubsub.principal,
        "SLUICE_TOKEN_ISSUER": pubsub.issuer,
        "SLUICE_TOKEN_KEYS_URL": pubsub.keys_url,
    }


async def wait_until_ready(url: str) -> None:
    """Return once the service reports that it is ready."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(_POLL_S)


def add_stack_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `up` and `demo` share."""
    parser.add_argument(
        "--backend",
        choices=["embedded", "bigquery"],
        help="where records are stored: the embedded DuckDB (the default), or a local-bigquery (PyPI's) run beside it, "
        "in a folder of --data-path's name that ends in .bigquery (installed when missing; needs Python 3.13)",
    )
    parser.add_argument("--port", type=port_number, help="the service's port (default: 8080, or a free one)")


async def unless_stopped(work: Coroutine[Any, Any, _Result], stack: LocalStack, stop: asyncio.Event) -> _Result | None:
    """Return what `work` returns, or None if `stop` is set first.

    Raises:
        ChildError: a process of the stack ended unexpectedly.
    """
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    ended = asyncio.create_task(stack.first_exit())
    tasks = {working, stopping, ended}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done() and working.exception() is not None:
            # The cause may be a process that has ended, and whose end has not been reported yet.
            await asyncio.wait({ended}, timeout=NEWS_WITHIN_S)
        if ended.done():
            child = ended.result()
            raise ChildError(f"{child.name} exited with status {child.process.returncode}{child.tail()}")
        return working.result() if working.done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def installed(backend: str | None, say: Callable[[str], None]) -> Installation | None:
    """Return the local-bigquery for --backend, installing it if needed; None for the embedded store.

    Raises:
        BackendError: without --backend, SLUICE_BACKEND names a store that the local environment does not use.
        InstallError: it cannot be installed.
    """
    elsewhere = os.environ.get("SLUICE_BACKEND") or "embedded"
    if backend is None and elsewhere != "embedded":
        raise BackendError(
            f"SLUICE_BACKEND={elsewhere}: this command stores on this machine only. Say where with --backend embedded "
            "or --backend bigquery (a local one); `sluice serve` uses the store of the environment"
        )
    return install(say) if backend == "bigquery" else None
