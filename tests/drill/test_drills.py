"""Every drill breaks a real system, which the run-book's own commands mend, and no record is lost or repeated."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.local.ports import quiet_ports
from sluice.ops.drill.catalogue import DRILLS
from sluice.ops.drill.command import rehearse
from sluice.ops.drill.run_book import laptop_commands, run_book_path, section_of
from sluice.testing.pace import patience_s
from tests.long_form import long

SHORT = {"setting", "dead-letters", "table"}
"""One drill of each kind: the service stands still, messages are put aside, the store refuses."""
TIMEOUT_S = patience_s(120)
"""Ends a drill that would never end."""


_STEAL = """
import json, os, urllib.request

def call(method, body):
    url = f"{os.environ['PUBSUB_CONTROL']}/v1/projects/sluice-local/subscriptions/events-push:{method}"
    return json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())))

(message,) = call("pull", {"maxMessages": 1})["receivedMessages"]
call("acknowledge", {"ackIds": [message["ackId"]]})
"""
"""Acknowledges a message that nobody stores."""


def drill(*arguments: str) -> list[str]:
    """Return the command line of a drill."""
    return [sys.executable, "-P", "-m", "sluice", "drill", "--port", str(quiet_ports(1)[0]), *arguments]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SHORT else long) for name in DRILLS]
)
def test_the_run_book_mends_it(name: str) -> None:
    """What was published before, meanwhile and afterwards is in the feed exactly once."""
    done = subprocess.run(drill(name, "--mend"), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"All (\d+) published records are in the feed exactly once", done.stdout)
    assert found is not None
    assert int(found[1]) > 5, "some were published while it was broken"
    assert DRILLS[name].about in done.stdout


def test_a_lost_record_fails_the_drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else acknowledges a message while pushes are paused: the feed lacks its record for good."""
    (tmp_path / "steal.py").write_text(_STEAL)
    resume = laptop_commands(section_of(run_book_path().read_text(), DRILLS["paused"].section))
    steps = f'{sys.executable} "$DRILL/steal.py"\n{resume}'
    assert asyncio.run(rehearse(DRILLS["paused"], tmp_path, quiet_ports(1)[0], steps)) == 1
    assert re.search(r"missing \['drill-\d+'\], repeated or unknown \[\]; expired 0", capsys.readouterr().out)


def test_a_drill_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends every process, removes the folder, and says what it was."""
    command = drill("paused")
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        assert running.stdout is not None
        told = ""
        while "Ctrl-C stops the drill" not in told:
            line = running.stdout.readline()
            assert line, told
            told += line
        variables = dict(each.split("=", 1) for each in re.findall(r"[A-Z_]+=\S+", told))
        assert DRILLS["paused"].about not in told, "the person on call finds out"
        pid = int((Path(variables["DRILL"]) / "service.pid").read_text())
        running.send_signal(signal.SIGINT)
        rest, _ = running.communicate(timeout=TIMEOUT_S)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130
    assert DRILLS["paused"].about in rest
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    host, _, port = variables["PUBSUB_EMULATOR_HOST"].partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port))).close()
