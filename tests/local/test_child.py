"""Child processes start, are watched, and never outlive their parent."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.local.child import Child, ChildCommand, ChildError, Leash
from sluice.testing.pace import patience_s

WITHIN_S = patience_s(60.0)

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
from sluice.local.child import Child, ChildCommand, Leash
from sluice.testing.pace import patience_s

async def main():
    async with Leash() as leash:
        command = ChildCommand(name="child", arguments=["-c", {CONNECTS!r}, sys.argv[1]])
        await Child.start(command, leash, None)
        await asyncio.Event().wait()

asyncio.run(main())
"""


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


@pytest.mark.parametrize(
    ("handler", "within_s", "status"),
    [("lambda *_: sys.exit(7)", WITHIN_S, 7), ("signal.SIG_IGN", 0.1, -signal.SIGKILL)],
    ids=["polite", "stubborn"],
)
async def test_a_child_is_stopped_with_sigterm_and_else_killed(
    tmp_path: Path, handler: str, within_s: float, status: int
) -> None:
    """Stopping waits for the end and says how it ended."""
    code = f"import signal, sys; signal.signal(signal.SIGTERM, {handler}); print('up', flush=True); signal.pause()"
    async with Leash() as leash:
        command = ChildCommand(name="child", arguments=["-c", code], reads_output=True)
        child = await Child.start(command, leash, tmp_path)
        assert await child.first_line(WITHIN_S) == b"up\n"
        assert await child.stop(within_s) == status


async def test_a_child_that_ends_too_early_is_reported_with_its_log(tmp_path: Path) -> None:
    """Waiting for a child that ends raises its name, its status and the end of its log."""
    code = "import sys; sys.exit('the disk is full')"
    async with Leash() as leash:
        command = ChildCommand(name="service", arguments=["-c", code], reads_output=True)
        child = await Child.start(command, leash, tmp_path)
        with pytest.raises(ChildError, match=r"(?s)service exited with status 1 .*the disk is full"):
            await child.first_line(WITHIN_S)
        await child.stop(WITHIN_S)
