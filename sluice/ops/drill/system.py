"""What a drill breaks: a local Pub/Sub, and a service that is started again whenever it ends.

The folder of a drill has what a person can change and see, as on Cloud Run:

service.env    the settings; a change is a deployment, and starts the service again
running.env    the settings of the service that is ready
previous.env   the settings before the last deployment of the drill
service.pid    the process, while there is one
service.log    what it has logged since it started last; ended.log: what the one before had
records.duckdb the store
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec

from sluice.local.child import Child, ChildCommand, Leash
from sluice.local.environment import READY_WITHIN_S, STOP_WITHIN_S, connections, wait_until_ready
from sluice.local.pubsub.subscription import Backlog
from sluice.local.stack_settings import Ready

_LOOK_EVERY_S = 0.05
_RESTART_AFTER_S = 0.5


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen from outside.

    `health` is None if the service does not answer; it `has_ended` once it has ended for the first time.
    """

    health: dict[str, object] | None
    is_healthy: bool
    has_ended: bool
    backlog: Backlog
    dead_letters: int
    rejects: int


class System:
    """The running system of a drill, made by `running_system`."""

    def __init__(self, folder: Path, url: str, pubsub: Ready, session: aiohttp.ClientSession) -> None:
        self.folder, self.url, self.pubsub, self.session = folder, url, pubsub, session

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the run-book's commands use."""
        return {
            "URL": self.url,
            "DRILL": str(self.folder),
            "PUBSUB_EMULATOR_HOST": self.pubsub.pubsub,
            "PUBSUB_CONTROL": self.pubsub.issuer,
        }

    async def deploy(self, **settings: str) -> None:
        """Change the service's settings, and keep those of before."""
        path = self.folder / "service.env"
        shutil.copyfile(path, self.folder / "previous.env")
        changed = self.folder / "next.env"
        changed.write_text(path.read_text() + "".join(f"{name}={value}\n" for name, value in settings.items()))
        changed.replace(path)

    async def update(self, path: str, **subscription: object) -> None:
        """Change a field of the push subscription, by its JSON name."""
        body = {"subscription": subscription, "updateMask": path}
        name = f"projects/{self.pubsub.project}/subscriptions/{self.pubsub.subscription}"
        async with self.session.patch(f"{self.pubsub.issuer}/v1/{name}", json=body) as answer:
            answer.raise_for_status()

    async def look(self) -> View:
        """Return what can be seen now."""
        async with self.session.get(f"{self.pubsub.issuer}/subscriptions") as answer:
            backlogs = msgspec.convert((await answer.json())["subscriptions"], list[Backlog])
        pushed = next(each for each in backlogs if each.subscription.endswith(f"/{self.pubsub.subscription}"))
        dead = sum(each.num_undelivered_messages for each in backlogs if each is not pushed)
        health, rejects, is_healthy = None, 0, False
        with suppress(aiohttp.ClientError):
            async with self.session.get(f"{self.url}/health/ready?strict=1") as answer:
                health, is_healthy = await answer.json(), answer.status == 200
            async with self.session.get(f"{self.url}/v1/rejects?since=-PT1H&limit=1") as answer:
                rejects = len((await answer.json()).get("records", ()))
        return View(
            health=health,
            is_healthy=is_healthy,
            has_ended=(self.folder / "ended.log").exists(),
            backlog=pushed,
            dead_letters=dead,
            rejects=rejects,
        )

    async def stored_ids(self) -> list[str] | None:
        """Return the ids of the whole feed, copies included; None if it cannot be read now."""
        query = {"since": "-PT12H", "limit": "all", "format": "ndjson", "fields": "id"}
        with suppress(aiohttp.ClientError):
            async with self.session.get(f"{self.url}/v1/records", params=query) as answer:
                if answer.status == 200:
                    return [msgspec.json.decode(line)["id"] for line in (await answer.read()).splitlines()]
        return None


@asynccontextmanager
async def running_system(
    folder: Path, port: int, settings: Mapping[str, str], max_attempts: int, max_backoff_s: float
) -> AsyncIterator[System]:
    """Start Pub/Sub and the service in `folder`, which exists, with these settings; stop both. Raises ChildError."""
    url = f"http://127.0.0.1:{port}"
    async with Leash() as leash, aiohttp.ClientSession() as session:
        arguments = ["-P", "-m", "sluice", "pubsub", "--port", "0", "--issuer-port", "0"]
        arguments += ["--push-endpoint", f"{url}/pubsub/push", "--max-attempts", str(max_attempts)]
        arguments += ["--max-backoff-s", str(max_backoff_s)]
        child = await Child.start(ChildCommand(name="pubsub", arguments=arguments, reads_output=True), leash, folder)
        try:
            pubsub = msgspec.json.decode(await child.first_line(READY_WITHIN_S), type=Ready)
            store = {"SLUICE_BACKEND": "embedded", "SLUICE_DATA_PATH": str(folder / "records.duckdb")}
            first = {**settings, **store, **connections(pubsub, port)}
            (folder / "service.env").write_text("".join(f"{name}={value}\n" for name, value in first.items()))
            keeping = asyncio.create_task(_keep_running(folder, url, leash))
            try:
                yield System(folder, url, pubsub, session)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        finally:
            await child.stop(STOP_WITHIN_S)


async def _keep_running(folder: Path, url: str, leash: Leash) -> None:
    """Start the service, again when its settings change and when it ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_") and name != "PORT"}
    while True:
        text = (folder / "service.env").read_text()
        settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        command = ChildCommand(name="service", arguments=["-P", "-m", "app"], environ=kept | settings)
        child = await Child.start(command, leash, folder)
        (folder / "service.pid").write_text(str(child.process.pid))
        ready = asyncio.create_task(_note_ready(folder, url, text))
        try:
            while True:
                if child.process.returncode is not None or (folder / "service.env").read_text() != text:
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)
            (folder / "service.pid").unlink(missing_ok=True)
            await child.stop(STOP_WITHIN_S)
            (folder / "service.log").replace(folder / "ended.log")
        await asyncio.sleep(_RESTART_AFTER_S)


async def _note_ready(folder: Path, url: str, text: str) -> None:
    await wait_until_ready(url)
    (folder / "running.env").write_text(text)
