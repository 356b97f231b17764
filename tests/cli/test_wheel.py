"""What a wheel holds, in an environment of its own and a folder that knows nothing of the repository."""

import asyncio
import re
import subprocess
import zipfile
from pathlib import Path

import httpx

from sluice.local.ports import quiet_ports
from sluice.testing.pace import patience_s
from tests.cli.wheel import ROOT, Installed
from tests.long_form import long

_EVERY_HELP = """
import os, sys
from contextlib import suppress
from sluice.__main__ import main
for name in sys.argv[1:]:
    with suppress(SystemExit):
        main([name, "--help"], os.environ)
"""


def sluice(installed: Installed, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as it is installed."""
    return subprocess.run(
        ["sluice", *arguments], cwd=folder, env=installed.environ, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_what_the_service_needs_and_no_test(installed: Installed) -> None:
    """Every file of the packages that git knows, the run-book for the drills, and nothing else."""
    names = zipfile.ZipFile(installed.wheel).namelist()
    listed = [
        "git",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "app",
        "sluice",
    ]
    known = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    client = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "sluice_client"]
    known += subprocess.run(client, cwd=ROOT / "client", capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in names if ".dist-info/" not in name} == {*known, "sluice/ops/drill/runbook.md"}


def test_every_command_has_help_where_only_the_wheel_is(installed: Installed, tmp_path: Path) -> None:
    """What it imports came with the installation."""
    shown = sluice(installed, tmp_path, "--help").stdout
    names = re.findall(r"^  ([a-z]+) {2,}", shown, re.MULTILINE)
    assert len(names) > 20
    asked = [installed.python, "-P", "-c", _EVERY_HELP, *names]  # in one process: each would import for a second
    done = subprocess.run(asked, cwd=tmp_path, env=installed.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in names if f"usage: sluice {name}" not in done.stdout] == []


@long
def test_a_drill_runs(installed: Installed, tmp_path: Path) -> None:
    """With the run-book that it brings along, whose commands find `sluice`."""
    done = sluice(installed, tmp_path, "drill", "setting", "--mend", "--port", str(quiet_ports(1)[0]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Run-book: /" in done.stdout
    assert str(ROOT) not in done.stdout


def test_a_new_project_passes_its_own_tests(installed: Installed, tmp_path: Path) -> None:
    """In the environment that its pyproject.toml describes, which names this wheel."""
    assert sluice(installed, tmp_path, "new", "orders").returncode == 0
    done = subprocess.run(
        [installed.uv, "run", "--quiet", "pytest", "-q"],
        cwd=tmp_path / "orders",
        env=installed.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "Warning" not in done.stdout + done.stderr
    table = sluice(installed, tmp_path / "orders", "schema", "bigquery")
    assert table.stdout == (tmp_path / "orders" / "infra" / "terraform" / "table.schema.json").read_text()


async def test_packages_of_the_users_own_do_not_take_the_place_of_ours(installed: Installed, tmp_path: Path) -> None:
    """Many projects have an `app`; the record type in the working folder is found all the same."""
    for name in ("app", "cli", "dev", "examples", "testing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('this is not the service')")
    (tmp_path / "visits.py").write_text(
        "import msgspec\nclass Visit(msgspec.Struct, forbid_unknown_fields=True):\n    page: str\n"
    )
    up = await asyncio.create_subprocess_exec(
        *("sluice", "up", "--record", "visits:Visit"),
        cwd=tmp_path,
        env=installed.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert up.stdout is not None
        async with asyncio.timeout(patience_s(60)):
            said = await up.stdout.readuntil(b"Ctrl-C")
        (url,) = re.findall(r"look at it +(http://\S+)/", said.decode())
        async with httpx.AsyncClient(base_url=url) as client:
            answer = await client.post("/v1/records", json={"page": "/"})
            assert answer.status_code == 201, answer.text
    finally:
        up.terminate()
        _, error = await up.communicate()
    assert up.returncode == 0, error
