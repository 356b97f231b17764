"""A running local-bigquery: a child process with its own data folder, isolated from the caller's environment."""

import asyncio
import fcntl
import os
from pathlib import Path

import aiohttp

from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import InUseError
from sluice.local.bigquery.install import Installation
from sluice.local.child import Child, ChildCommand, Leash
from sluice.local.ports import HOST, quiet_ports

PROJECT, DATASET = "local", "sluice"
READY_WITHIN_S = 90.0
_POLL_S = 0.05
_ASK_WITHIN_S = 5.0


class LocalBigQuery:
    """A running local-bigquery, created by `LocalBigQuery.start`."""

    def __init__(self, child: Child, place: TableAddress) -> None:
        self.child, self.place = child, place

    @classmethod
    async def start(
        cls,
        installation: Installation,
        leash: Leash,
        folder: Path,
        ports: tuple[int, int] | None = None,
        dataset: str = DATASET,
    ) -> "LocalBigQuery":
        """Start it on two ports (REST, gRPC; None: free ones); data and log go into `folder`. It is not ready yet.

        Raises:
            InUseError: another instance uses the same data folder.
        """
        rest, storage = ports or quiet_ports(2)
        store = (folder / "store").absolute()
        store.mkdir(parents=True, exist_ok=True)
        _require_unused(store)
        named = {
            "--host": HOST,
            "--port": str(rest),
            "--grpc-port": str(storage),
            "--project": PROJECT,
            "--data-dir": str(store),
        }
        command = ChildCommand(
            name="local-bigquery",
            executable=str(installation.python),
            arguments=[str(installation.program), *(word for pair in named.items() for word in pair)],
            environ=_environ(installation.home),
            # Its HTTP server sends itself the signal again after a clean shutdown.
            dies_of_sigterm=True,
        )
        place = TableAddress(
            project=PROJECT,
            dataset=dataset,
            location=None,
            rest_url=f"http://{HOST}:{rest}",
            storage_url=f"http://{HOST}:{storage}",
        )
        return cls(await Child.start(command, leash, folder), place)

    async def wait_until_ready(self) -> None:
        """Wait until both APIs respond.

        Raises:
            ChildError: it ended, or was not ready in time; the message has the end of its log.
        """
        await self.child.require(_answering(self.place), READY_WITHIN_S)


def service_settings(place: TableAddress) -> dict[str, str]:
    """Return the settings for a service that stores in `place`, by variable.

    The durations suit a single machine: its processes share one clock, and the store is a millisecond away. So records
    are final, and in the feed, 6 s after they are stored rather than 30 s.
    """
    return {
        "SLUICE_BACKEND": "bigquery",
        "SLUICE_BIGQUERY_PROJECT": place.project,
        "SLUICE_BIGQUERY_DATASET": place.dataset,
        "SLUICE_BIGQUERY_REST_URL": place.rest_url,
        "SLUICE_BIGQUERY_STORAGE_URL": place.storage_url,
        # Its gRPC server accepts messages of up to 4 MiB, including the schema and the framing. A larger batch is
        # halved until it is accepted; a record must be.
        "SLUICE_MAX_RECORD_BYTES": "3000000",
        "SLUICE_APPEND_DEADLINE_S": "4",
        "SLUICE_LATE_COMMIT_MARGIN_S": "1.9",
        "SLUICE_CLOCK_SKEW_S": "0.1",
        "SLUICE_SETTLE_S": "6",
    }


def _require_unused(store: Path) -> None:
    """Raise InUseError if another instance has a file of `store` open: DuckDB locks the files it writes."""
    for path in store.rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise InUseError(
                        f"another local BigQuery keeps its data in {store}: use that one, or choose another --data-path"
                    ) from None


def _environ(home: Path) -> dict[str, str]:
    """Return its whole environment: it reads plain names such as GROUPS and CALLER as its own settings."""
    return {
        "HOME": str(home),
        "PATH": os.defpath,
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        # DuckDB reads its number of threads here. To share such small queries among threads costs a third more.
        "SLURM_CPUS_ON_NODE": "1",
        **{name: os.environ[name] for name in ("TMPDIR", "LANG") if name in os.environ},
    }


async def _answering(place: TableAddress) -> None:
    """Return once both APIs respond."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ASK_WITHIN_S)) as session:
        while True:
            try:
                async with session.get(f"{place.rest_url}/bigquery/v2/projects") as response:
                    if response.status == 200:
                        break
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_POLL_S)
    # Imported late, so that commands that do not need it start quickly.
    import grpc.aio  # noqa: PLC0415

    async with grpc.aio.insecure_channel(place.storage_url.removeprefix("http://")) as channel:
        await channel.channel_ready()
