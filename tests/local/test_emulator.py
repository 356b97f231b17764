"""The official emulator behind the same pusher. Skipped where it is not installed."""

import asyncio
import os
from base64 import b64decode
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

import sluice.local.emulator
from sluice.local import clients
from sluice.local.emulator import EmulatorError, find_jar, find_java, free_port, running_emulator
from sluice.local.pubsub.message import Draft
from sluice.local.stack import running
from sluice.local.stack_settings import Ready, StackSettings
from tests.local.endpoint import TIMEOUT_S, Endpoint, Push


def missing() -> str:
    """Return why the emulator cannot run here, empty when it can."""
    try:
        find_java(), find_jar()
    except EmulatorError as error:
        return str(error)
    return ""


MISSING = missing()
needs_emulator = pytest.mark.skipif(bool(MISSING), reason=f"NOT tested here: --pubsub=emulator. {MISSING}")


def settings_for(endpoint: Endpoint, *, ordering: bool) -> StackSettings:
    """Return settings of a relay to this endpoint."""
    return StackSettings(
        port=0,
        issuer_port=0,
        push_endpoint=endpoint.url,
        max_attempts=5,
        max_backoff_s=0.1,
        ordering=ordering,
        backend="emulator",
    )


def publish(ready: Ready, drafts: list[Draft]) -> None:
    """Publish in one request."""
    with clients.publisher(ready.pubsub) as client:
        clients.publish(client, clients.topic_path(ready.project, ready.topic), drafts)


def pull_dead(ready: Ready) -> list[bytes]:
    """Return the data of the first dead letter."""
    name = f"projects/{ready.project}/subscriptions/events-dead-sub"
    with clients.subscriber(ready.pubsub) as client:
        received = client.pull(subscription=name, max_messages=1, timeout=TIMEOUT_S).received_messages
    return [message.message.data for message in received]


@needs_emulator
async def test_the_relay_pushes_retries_and_dead_letters(endpoint: Endpoint) -> None:
    """Messages published to the emulator are pushed with a token; poison is retried, then dead-lettered."""

    async def answer(push: Push) -> int:
        return 500 if push.envelope["message"]["data"] == "cG9pc29u" else 204  # b"poison"

    endpoint.answer = answer
    async with running(settings_for(endpoint, ordering=False)) as ready:
        drafts = [Draft(b"%d" % number, {"k": "v"}) for number in range(50)]
        await asyncio.to_thread(publish, ready, [*drafts, Draft(b"poison")])
        assert await asyncio.to_thread(pull_dead, ready) == [b"poison"]
        pushes = await endpoint.received(55)
        async with aiohttp.ClientSession() as session, session.get(f"{ready.issuer}/stats") as response:
            stats = await response.json()
    good = [push.envelope for push in pushes if "attributes" in push.envelope["message"]]
    assert len({envelope["message"]["messageId"] for envelope in good}) == 50
    assert all(envelope["message"]["publishTime"].endswith("Z") for envelope in good)
    poison = [push.envelope["deliveryAttempt"] for push in pushes if "attributes" not in push.envelope["message"]]
    assert poison == [1, 2, 3, 4, 5]
    assert all(push.headers["Authorization"].startswith("Bearer ey") for push in pushes)
    assert (stats["acked"], stats["nacked"], stats["backlog"]) == (50, 5, None)


@needs_emulator
async def test_the_relay_keeps_the_order_of_a_key(endpoint: Endpoint) -> None:
    """A key's messages arrive in order, one at a time, although one of them fails at first."""
    attempts: Counter[str] = Counter()

    async def answer(push: Push) -> int:
        attempts[push.message_id] += 1
        return 503 if push.envelope["message"]["data"] == "Nw==" and attempts[push.message_id] < 3 else 204  # b"7"

    endpoint.answer = answer
    async with running(settings_for(endpoint, ordering=True)) as ready:
        await asyncio.to_thread(publish, ready, [Draft(b"%d" % number, {}, "key") for number in range(30)])
        pushes = await endpoint.received(32)
    assert [b64decode(push.envelope["message"]["data"]) for push in pushes] == [
        b"%d" % number for number in sorted([*range(30), 7, 7])
    ]
    assert {push.envelope["message"]["orderingKey"] for push in pushes} == {"key"}
    assert [push.envelope["deliveryAttempt"] for push in pushes[6:11]] == [1, 1, 2, 3, 1]


@needs_emulator
async def test_the_jvm_ends_with_the_context() -> None:
    """Nothing listens on the emulator's port any more when it is left."""
    async with running_emulator("127.0.0.1", 0) as address:
        host, port = address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_an_emulator_that_ends_at_once_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process said last is in the message, and nobody waits for a timeout."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho java.lang.IllegalStateException: no room\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setattr(sluice.local.emulator, "find_java", lambda: str(java))
    monkeypatch.setattr(sluice.local.emulator, "find_jar", lambda: Path("emulator.jar"))
    with pytest.raises(EmulatorError, match="IllegalStateException: no room"):
        async with running_emulator("127.0.0.1", free_port("127.0.0.1")):
            pass


async def test_the_child_is_killed_when_its_parent_vanishes(tmp_path: Path) -> None:
    """Closing the pipe, as the death of this process does, ends the child."""
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", sluice.local.emulator._WATCHED, "sh", "sh", "-c", f"echo > {ready}; exec cat {ready}"),
        stdin=asyncio.subprocess.PIPE,
    )
    assert await asyncio.to_thread(ready.read_text) == "\n"
    assert process.returncode is None
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(TIMEOUT_S):
        assert await process.wait() == 137


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java or the jar there is one line that says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("CLOUDSDK_ROOT_DIR", str(tmp_path))
    with pytest.raises(EmulatorError, match="needs Java, which was not found: install it with `gcloud components"):
        find_java()
    with pytest.raises(EmulatorError, match="was not found in a Google Cloud SDK: install it with"):
        find_jar()


def test_the_newest_jar_of_the_sdk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own variable says where it is."""
    monkeypatch.setenv("CLOUDSDK_ROOT_DIR", str(tmp_path))
    library = tmp_path / "platform" / "pubsub-emulator" / "lib"
    library.mkdir(parents=True)
    jar = library / "cloud-pubsub-emulator-0.8.20-all.jar"
    jar.touch()
    assert find_jar() == jar
