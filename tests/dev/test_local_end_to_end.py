"""`python -m dev up`, through the real processes."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from testing.pace import patience_s

WITHIN_S = patience_s(60.0)


def test_everything_is_up_and_goes_down_cleanly(tmp_path: Path) -> None:
    """`up` says where things are, they are there, a record can be stored and read, and SIGTERM ends it all."""
    arguments = ["up", "--port", "0", "--data-path", str(tmp_path / "store.duckdb")]
    with subprocess.Popen([sys.executable, "-m", "dev", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C stops everything" not in shown:
            line = process.stdout.readline()
            assert line, f"it ended after saying {shown}"
            shown += line
        places = dict(re.findall(r"^  (\S+) +(http://\S+)$", shown, re.MULTILINE))
        try:
            for place in ("OpenAPI", "tokens"):
                assert httpx.get(places[place], timeout=WITHIN_S).raise_for_status().json()
            record = {"id": "a", "timestamp": "2026-01-31T12:00:00Z"}
            assert httpx.post(places["API"], json=record, timeout=WITHIN_S).status_code == 201
            page = httpx.get(places["API"], timeout=WITHIN_S).raise_for_status().json()
            assert [record["id"] for record in page["records"]] == ["a"]
        finally:
            process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, rest
