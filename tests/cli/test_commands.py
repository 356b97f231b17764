"""The command line of `sluice`: every command is there, has help, and a slip is told in a line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli.commands import GROUPS, overview


def test_the_help_lists_every_command_in_its_group_and_imports_none() -> None:
    """The heavy packages are read by the commands that use them."""
    code = "import sys; sys.argv = ['sluice', '--help']\nfrom sluice.__main__ import run\ntry: run()\n"
    code += "finally: print(sorted({'grpc', 'aiohttp', 'duckdb', 'litestar', 'httpx'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert overview() in shown
    assert shown.splitlines()[-1] == "[]"
    assert all(f"{title}:" in shown for title in GROUPS)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "on a laptop:"),
        (["publsh"], "there is no command 'publsh'; did you mean `sluice publish`?"),
        (["frobnicate"], "there is no command 'frobnicate'; `sluice --help` lists the commands"),
        (["up", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["serve", "now"], "unrecognized arguments: now"),
        (["--nonsense"], "required: COMMAND"),
    ],
)
def test_a_slip_is_told_and_starts_nothing(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, on standard error."""
    try:
        status = main(arguments, {})
    except SystemExit as ended:
        status = ended.code  # type: ignore[assignment]
    assert status == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, without a setting or a terminal."""
    for name in os.environ:
        if name.startswith(("SLUICE_", "PUBSUB_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path])
    with Path(os.devnull).open(encoding="utf-8") as empty:
        monkeypatch.setattr(sys, "stdin", empty)
        yield


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("up --record nope:X", 1, "no module 'nope' is installed, or in "),
        ("up --record app.orders:Order", 1, "/app has the name of Sluice's own package: rename it"),
        (f"new {'a' * 300}", 2, "new: aaa"),
        ("erase --id \udcff", 2, r"sluice: the command line is not UTF-8: 'erase --id \udcff'"),
        ("demo --exit --flights 3", 2, "demo: 3 flights: the demonstration needs at least 100"),
        ("publish /nope", 1, "error: /nope: No such file or directory"),
        ("canary --pubsub-host nowhere.invalid:1", 1, "error: "),
        ("smoke --url nope", 2, "'nope': expected a base URL"),
        ("follow http://127.0.0.1:1 --into /nope/x.duckdb", 2, "/nope/x.duckdb cannot be opened"),
        ("backfill /nope --as a", 2, "/nope: there is no such file or folder"),
        ("key --name a --scope read --into /nope/x", 2, "cannot write /nope/x: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_traceback(
    line: str, status: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the program's own function: what it raised, the process would print as a traceback."""
    try:
        ended: object = main(line.split(), os.environ)
    except SystemExit as exited:
        ended = exited.code
    printed = "".join(capfd.readouterr())
    assert ended == status, printed
    assert said in printed
    assert "Traceback" not in printed
    assert "[Errno" not in printed
