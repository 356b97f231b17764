"""`sluice backfill`: what it says, its exit status, a kill, and a store that another process has open."""

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from sluice.ops.backfill.command import GOOD, REJECTED, STOPPED, add_arguments, run
from tests.ops.backfill.running import record, write_lines
from tests.support.process import ROOT


def main(arguments: list[str], environ: dict[str, str]) -> int:
    """Run the command with these settings; return its exit status."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with mock.patch.dict(os.environ, environ):
        return run(parser.parse_args(arguments))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the settings of a new store."""
    return {"SLUICE_DATA_PATH": str(tmp_path / "data.duckdb")}


def test_the_summary_and_the_status(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for scripts, the first rejects for people, and a status that says whether all is stored."""
    good = write_lines(tmp_path / "good.ndjson", [record(1)])
    bad = write_lines(tmp_path / "bad.ndjson", [record(2), {"id": 3}])
    assert main([str(good), "--as", "good"], environ) == GOOD
    assert capsys.readouterr().out == "1 stored, 0 already there, 0 rejected\n"
    assert main([str(bad), "--as", "bad"], environ) == REJECTED
    told = capsys.readouterr()
    assert told.out == "1 stored, 0 already there, 1 rejected\n"
    assert "rejected: bad.ndjson, record 1: invalid `id`" in told.err
    assert main([str(bad), "--as", "bad"], environ) == REJECTED
    assert capsys.readouterr().out == "0 stored, 1 already there, 1 rejected (1 of them before)\n"
    assert main([str(tmp_path), "--as", "all"], environ) == REJECTED
    assert capsys.readouterr().out == "2 stored, 0 already there, 1 rejected\n"


def test_a_stream_has_records_and_rejects_of_its_own(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One NAME may be backfilled into two streams; each knows its own rejects again."""
    environ["SLUICE_STREAMS"] = "tests.streams.market:STREAMS"
    source = write_lines(tmp_path / "a.ndjson", [{"order_id": "a"}, {"page": "/"}])
    for _ in range(2):
        for stream in ("orders", "visits"):
            assert main([str(source), "--as", "both", "--stream", stream], environ) == REJECTED
    first, again = (
        "1 stored, 0 already there, 1 rejected\n",
        "0 stored, 1 already there, 1 rejected (1 of them before)\n",
    )
    assert capsys.readouterr().out == 2 * first + 2 * again


def test_a_killed_run_is_continued(environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL in the middle; meanwhile the file is in use, which is said plainly; then the rest follows."""
    source = write_lines(tmp_path / "a.ndjson", [record(n, data="x" * 1_000) for n in range(20_000)])
    command = [sys.executable, "-m", "sluice", "backfill", str(source), "--as", "killed"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL) as process:
        log = Path(environ["SLUICE_DATA_PATH"] + ".wal")
        # More than one append of 5,000 rows, so that one is committed.
        while not (log.exists() and log.stat().st_size > 6_500_000):
            assert process.poll() is None
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGSTOP)
        assert main([str(source), "--as", "killed"], environ) == STOPPED
        assert "is open in process" in capsys.readouterr().err
        process.kill()
    assert main([str(source), "--as", "killed"], environ) == GOOD
    out = capsys.readouterr().out
    told = re.fullmatch(r"([0-9,]+) stored, ([0-9,]+) already there, 0 rejected\n", out)
    assert told is not None, out
    stored, known = int(told[1].replace(",", "")), int(told[2].replace(",", ""))
    assert known > 0
    assert stored > 0
    assert stored + known == 20_000
    assert main([str(source), "--as", "killed"], environ) == GOOD
    assert capsys.readouterr().out == "0 stored, 20,000 already there, 0 rejected\n"
