"""Ports are chosen, the wiring is right, and work ends when a process of the stack does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.local.child import Child, ChildCommand, ChildError, Leash
from sluice.local.environment import LocalStack, StackOptions, service_environ, unless_stopped
from sluice.local.stack_settings import Ready
from sluice.testing.pace import patience_s

WITHIN_S = patience_s(60.0)

READY = Ready(
    pubsub="127.0.0.1:1",
    issuer="http://127.0.0.1:2",
    keys_url="http://127.0.0.1:2/certs",
    audience="somebody",
    principal="pusher@example.com",
    topic="events",
    subscription="events-push",
    project="p",
)


async def value(of: int) -> int:
    """Return what was given, as work that ends at once."""
    return of


async def failure() -> None:
    """Raise, as work that meets a process that is gone."""
    raise ConnectionResetError


@asynccontextmanager
async def stack_of(code: str, folder: Path) -> AsyncIterator[LocalStack]:
    """Run a stack of one process until the block ends."""
    async with Leash() as leash:
        stack = LocalStack(StackOptions())
        stack.children = [await Child.start(ChildCommand(name="service", arguments=["-c", code]), leash, folder)]
        yield stack
        await stack.children[0].stop(WITHIN_S)


@pytest.mark.parametrize("work", [asyncio.Event().wait, failure], ids=["waiting", "failing"])
async def test_work_ends_when_a_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    """A process that ends by itself is what is reported, also when the work failed because of it."""
    monkeypatch.setattr("sluice.local.environment.NEWS_WITHIN_S", WITHIN_S)
    async with stack_of("import sys; sys.exit(3)", tmp_path) as stack:
        with pytest.raises(ChildError, match="service exited with status 3"):
            await unless_stopped(work(), stack, asyncio.Event())


async def test_a_port_that_is_taken_after_it_was_chosen_is_replaced(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stacks that start at once choose the same preferred ports; the slower one takes others."""
    taken = listener.getsockname()[1]
    monkeypatch.setattr("sluice.local.environment.choose_port", lambda *_, **__: taken)
    async with Leash() as leash:
        stack = LocalStack(StackOptions(log_dir=tmp_path))
        stack.url = "http://127.0.0.1:1"
        await stack._start_pubsub(leash)
        assert [child.name for child in stack.children] == ["pubsub"]
        assert str(taken) not in {stack.pubsub.pubsub.rpartition(":")[2], stack.pubsub.issuer.rpartition(":")[2]}
        await stack._stop()
    assert stack.exit_statuses == {"pubsub": 0}


def test_the_service_trusts_the_local_issuer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service gets the pusher's audience, principal and keys, and no foreign $PORT."""
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("SLUICE_TOKEN_ISSUER", "https://accounts.google.com")
    monkeypatch.setenv("UNRELATED", "kept")
    environ = service_environ(StackOptions(), READY, 4711, None, "a secret")
    assert "PORT" not in environ
    assert environ["UNRELATED"] == "kept"
    assert (environ["SLUICE_TOKEN_ISSUER"], environ["SLUICE_PORT"]) == (READY.issuer, "4711")
