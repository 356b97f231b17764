"""Child processes start, are watched, and never outlive their parent; ports are chosen; the wiring is right."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.child import GATE, Child, ChildCommand, ChildError, Leash
from dev.leash import end_processes, read_leash
from dev.local import LocalStack, StackOptions, choose_port, service_environ, unless_stopped
from dev.stack_settings import Ready

WITHIN_S = 20.0

# Connects to the test and stays: the connection ends when the process does.
CONNECTS = """
import signal, socket, sys
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"!")
connection.recv(1)
"""

PARENT = f"""
import asyncio, sys
from dev.child import Child, ChildCommand, Leash

async def main():
    async with Leash() as leash:
        command = ChildCommand(name="child", arguments=["-c", {CONNECTS!r}, sys.argv[1]])
        await Child.start(command, leash, None)
        await asyncio.Event().wait()

asyncio.run(main())
"""

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


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a socket that child processes connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WITHIN_S)
        yield server


def connection_of_child(listener: socket.socket) -> socket.socket:
    """Wait until a child has connected and is running."""
    connection, _ = listener.accept()
    connection.settimeout(WITHIN_S)
    assert connection.recv(1) == b"!"
    return connection


def has_ended(connection: socket.socket) -> bool:
    """Wait until the process at the other end is gone."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_children_do_not_outlive_a_killed_parent(listener: socket.socket) -> None:
    """When the parent is killed with SIGKILL, its children end by themselves."""
    port = str(listener.getsockname()[1])
    starting = subprocess.Popen([sys.executable, "-c", PARENT, port])
    with starting as parent, connection_of_child(listener) as connection:
        parent.send_signal(signal.SIGKILL)
        assert parent.wait(WITHIN_S) == -signal.SIGKILL
        assert has_ended(connection)


@pytest.mark.parametrize(("line", "printed"), [(b"", b""), (b"\n", b"ran\n")])
def test_a_program_runs_only_when_it_is_let_in(line: bytes, printed: bytes) -> None:
    """A child whose parent died before it was put on the leash never becomes its program."""
    program = [sys.executable, "-c", "print('ran')"]
    ended = subprocess.run([*GATE, *program], input=line, stdout=subprocess.PIPE, timeout=WITHIN_S, check=False)
    assert ended.stdout == printed


def test_a_stubborn_process_is_killed(listener: socket.socket) -> None:
    """A process that ignores SIGTERM gets SIGKILL when the grace period is over."""
    port = str(listener.getsockname()[1])
    arguments = [sys.executable, "-c", CONNECTS, port, "stubborn"]
    with subprocess.Popen(arguments, start_new_session=True) as process, connection_of_child(listener):
        end_processes([process.pid], grace_s=0.1)
        assert process.wait(WITHIN_S) == -signal.SIGKILL


def test_a_process_that_is_gone_is_passed_over(listener: socket.socket) -> None:
    """Ending a process that has ended already does no harm, and the next one is still ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(WITHIN_S)
    port = str(listener.getsockname()[1])
    starting = subprocess.Popen([sys.executable, "-c", CONNECTS, port], start_new_session=True)
    with starting as process, connection_of_child(listener):
        end_processes([gone.pid, process.pid], grace_s=0.1)
        assert process.wait(WITHIN_S) in {-signal.SIGTERM, -signal.SIGKILL}


def test_the_leash_holds_what_was_not_released() -> None:
    """Processes are ended in the order in which they were put on the leash; a released one is not."""
    assert read_leash(["+11\n", "+12\n", "+13\n", "-12\n", "-99\n"]) == [11, 13]


async def test_a_child_is_stopped_with_sigterm(tmp_path: Path) -> None:
    """Stopping sends SIGTERM, waits for the end, and says how it ended."""
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
    code = f"import signal, sys; {handler}; print('up', flush=True); signal.pause()"
    async with Leash() as leash:
        command = ChildCommand(name="polite", arguments=["-c", code], reads_output=True)
        child = await Child.start(command, leash, tmp_path)
        assert await child.first_line(WITHIN_S) == b"up\n"
        assert await child.stop(WITHIN_S) == 7


async def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is killed, and its status says so."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    async with Leash() as leash:
        command = ChildCommand(name="stubborn", arguments=["-c", code], reads_output=True)
        child = await Child.start(command, leash, tmp_path)
        await child.first_line(WITHIN_S)
        assert await child.stop(0.1) == -signal.SIGKILL


async def test_a_child_that_ends_too_early_is_reported_with_its_log(tmp_path: Path) -> None:
    """Waiting for a child that ends raises its name, its status and the end of its log."""
    code = "import sys; sys.exit('the disk is full')"
    async with Leash() as leash:
        command = ChildCommand(name="service", arguments=["-c", code], reads_output=True)
        child = await Child.start(command, leash, tmp_path)
        with pytest.raises(ChildError, match=r"(?s)service ended with status 1 .*the disk is full"):
            await child.first_line(WITHIN_S)
        await child.stop(WITHIN_S)


async def test_a_child_that_is_late_is_reported(tmp_path: Path) -> None:
    """Waiting for longer than allowed raises the child's name and the time."""
    async with Leash() as leash:
        command = ChildCommand(name="sleeper", arguments=["-c", "import signal; signal.pause()"])
        child = await Child.start(command, leash, tmp_path)
        with pytest.raises(ChildError, match=r"sleeper was not ready within 0\.01 s"):
            await child.require(asyncio.Event().wait(), 0.01)
        await child.stop(WITHIN_S)


async def value(of: int) -> int:
    """Return what was given, as work that ends at once."""
    return of


async def failure() -> None:
    """Raise, as work that meets a process that is gone."""
    raise ConnectionResetError


async def test_work_ends_with_its_value_or_when_asked(tmp_path: Path) -> None:
    """Work that ends gives its value; work that is interrupted by the stop event gives None."""
    async with Leash() as leash:
        command = ChildCommand(name="service", arguments=["-c", "import signal; signal.pause()"])
        stack, stop = LocalStack(StackOptions()), asyncio.Event()
        stack.children = [await Child.start(command, leash, tmp_path)]
        assert await unless_stopped(value(3), stack, stop) == 3
        stop.set()
        assert await unless_stopped(asyncio.Event().wait(), stack, stop) is None
        await stack.children[0].stop(WITHIN_S)


@pytest.mark.parametrize("work", [asyncio.Event().wait, failure], ids=["waiting", "failing"])
async def test_work_ends_when_a_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    """A process that ends by itself is what is reported, also when the work failed because of it."""
    monkeypatch.setattr("dev.local.NEWS_WITHIN_S", WITHIN_S)
    async with Leash() as leash:
        command = ChildCommand(name="service", arguments=["-c", "import sys; sys.exit(3)"])
        stack = LocalStack(StackOptions())
        stack.children = [await Child.start(command, leash, tmp_path)]
        with pytest.raises(ChildError, match="service ended by itself with status 3"):
            await unless_stopped(work(), stack, asyncio.Event())
        await stack.children[0].stop(WITHIN_S)


async def test_work_that_fails_by_itself_raises_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no process ended, the failure of the work is raised as it is."""
    monkeypatch.setattr("dev.local.NEWS_WITHIN_S", 0.01)
    async with Leash() as leash:
        command = ChildCommand(name="service", arguments=["-c", "import signal; signal.pause()"])
        stack = LocalStack(StackOptions())
        stack.children = [await Child.start(command, leash, tmp_path)]
        with pytest.raises(ConnectionResetError):
            await unless_stopped(failure(), stack, asyncio.Event())
        await stack.children[0].stop(WITHIN_S)


def test_a_port_that_is_taken_is_refused_or_avoided(listener: socket.socket) -> None:
    """A port that was asked for and is taken is an error that says so; a preferred one is replaced."""
    taken = listener.getsockname()[1]
    with pytest.raises(OSError, match=f"port {taken} .* is taken"):
        choose_port(taken, preferred=8080)
    assert choose_port(None, preferred=taken) not in {taken, 0}


def test_a_free_port_is_taken_as_asked() -> None:
    """The port that was asked for, or else the preferred one, is chosen when it is free."""
    free = choose_port(None, preferred=0)
    assert choose_port(free, preferred=0) == free
    assert choose_port(None, preferred=free) == free


def test_the_service_trusts_the_local_issuer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service gets the pusher's audience, principal and keys, and no foreign $PORT."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("SLUICE_TOKEN_ISSUER", "https://accounts.google.com")
    monkeypatch.setenv("UNRELATED", "kept")
    options = StackOptions(record="package.module:Type", data_path=Path("there/store.duckdb"))
    environ = service_environ(options, READY, 4711)
    assert "PORT" not in environ
    assert environ["UNRELATED"] == "kept"
    assert {name: value for name, value in environ.items() if name.startswith("SLUICE_")} == {
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_PORT": "4711",
        "SLUICE_RECORD": "package.module:Type",
        "SLUICE_DATA_PATH": "there/store.duckdb",
        "SLUICE_PUSH_AUDIENCE": "somebody",
        "SLUICE_PUSH_PRINCIPALS": "pusher@example.com",
        "SLUICE_TOKEN_ISSUER": "http://127.0.0.1:2",
        "SLUICE_TOKEN_KEYS_URL": "http://127.0.0.1:2/certs",
    }
