"""`python -m sluice` as a person types it."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
from google.auth import jwt

from sluice.local import clients
from sluice.local.pubsub.message import Draft
from tests.local.endpoint import TIMEOUT_S, Endpoint


async def dev(*arguments: str) -> Process:
    """Start `python -m sluice` with these arguments."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sluice", *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@contextlib.asynccontextmanager
async def running_pubsub(*arguments: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """Run `sluice pubsub` and yield it with what its line says."""
    process = await dev("pubsub", "--port", "0", "--issuer-port", "0", *arguments)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            yield process, msgspec.json.decode(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def publish(ready: dict[str, Any], *data: bytes) -> None:
    """Publish one message for each payload."""
    topic = clients.topic_path(ready["project"], ready["topic"])
    with clients.publisher(ready["pubsub"]) as client:
        clients.publish(client, topic, [Draft(one, {"source": "test"}, "k") for one in data])


async def test_pubsub_serves_pushes_and_ends_cleanly(endpoint: Endpoint) -> None:
    """One line when ready; a published message is pushed with a verifiable token; SIGTERM is exit 0."""
    async with (
        running_pubsub("--push-endpoint", endpoint.url) as (process, ready),
        aiohttp.ClientSession() as session,
    ):
        assert ready["keys_url"] == f"{ready['issuer']}/certs"
        assert {name: ready[name] for name in ("audience", "topic", "subscription", "project")} == {
            "audience": "sluice",
            "topic": "events",
            "subscription": "events-push",
            "project": "sluice-local",
        }
        await asyncio.to_thread(publish, ready, b"a", b"b")
        first, second = await endpoint.received(2)
        assert [push.envelope["message"]["orderingKey"] for push in (first, second)] == ["k", "k"]
        assert first.envelope["subscription"] == "projects/sluice-local/subscriptions/events-push"
        async with session.get(ready["keys_url"]) as response:
            claims = jwt.decode(first.headers["Authorization"].removeprefix("Bearer "), certs=await response.json())
        assert (claims["aud"], claims["email"], claims["iss"]) == ("sluice", ready["principal"], ready["issuer"])
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_taken_port_is_an_error(endpoint: Endpoint) -> None:
    """The port is named, and the process ends instead of hanging."""
    port = endpoint.url.split(":")[2].split("/")[0]
    process = await dev("pubsub", "--port", port, "--issuer-port", "0")
    _, said = await process.communicate()
    assert process.returncode == 1
    assert "in use" in said.decode()
    assert "Traceback" not in said.decode()
