"""Slips on the command line, for every command and option there is: a line that helps, and never a traceback."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli.commands import all_commands
from sluice.cli.parser import parser_of

COMMANDS = dict(all_commands())
NONSENSE = "?no:such/thing"
PORTS = [
    (name, option)
    for name, command in COMMANDS.items()
    for action in parser_of(name, command)[0]._actions
    for option in action.option_strings
    if option.endswith("port")
]


@pytest.mark.parametrize(("name", "option"), PORTS)
@pytest.mark.parametrize("port", ["99999", "-1", "http", "80.5", "", "\uff18\uff10"])
def test_a_wrong_port_is_told_by_its_option(
    name: str, option: str, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything starts."""
    parser, _ = parser_of(name, COMMANDS[name])
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"{option}={port}"])
    assert ended.value.code == 2
    assert f"argument {option}: {port!r} is no port: expected 1 to 65535" in capsys.readouterr().err


def numbers(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options of a parser that take something else than a text."""
    return [action for action in parser._actions if action.option_strings and action.type not in (None, str)]


@pytest.mark.parametrize("name", COMMANDS)
def test_nonsense_for_an_option_with_a_form_is_refused_by_the_parser(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers, durations, names: every option whose value has a type."""
    for action in numbers(parser_of(name, COMMANDS[name])[0]):
        if action.type is Path:
            continue
        parser, _ = parser_of(name, COMMANDS[name])
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([f"{action.option_strings[-1]}={NONSENSE}"])
        assert ended.value.code == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert action.option_strings[-1] in error
        assert "Traceback" not in error


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
        ("up --record orders", 1, "must be package.module:Type"),
        (f"new {'a' * 300}", 2, "new: aaa"),
        ("erase --id \udcff", 2, r"sluice: the command line is not UTF-8: 'erase --id \udcff'"),
        ("up --data-path /proc/x/y.duckdb", 1, "up: /proc/x: No such file or directory"),
        ("demo --exit --flights 3", 2, "demo: 3 flights: the demonstration needs at least 100"),
        ("publish /nope", 1, "error: /nope: No such file or directory"),
        ("publish /tmp", 1, "error: /tmp: Is a directory"),
        ("publish /dev/null", 1, "error: the input is empty: expected a JSON array"),
        ("redrive --pubsub-host 127.0.0.1:1", 1, "Pub/Sub does not answer at 127.0.0.1:1"),
        ("canary --pubsub-host nowhere.invalid:1", 1, "error: "),
        ("smoke --url nope", 2, "'nope': expected a base URL"),
        ("follow nope --into x.duckdb", 1, "nope"),
        ("follow http://127.0.0.1:1 --into /nope/x.duckdb", 2, "/nope/x.duckdb cannot be opened"),
        ("backfill /nope --as a", 2, "/nope: there is no such file or folder"),
        ("keys check /nope", 2, "cannot read /nope: No such file or directory"),
        ("preflight --tfvars /nope", 2, "/nope: No such file or directory"),
        ("migrate --data-path /nope", 1, "there is no file /nope"),
        ("schema --record nope:X duckdb", 2, "no module 'nope' is installed"),
        ("rollout --project p --region r --service s --restore /nope", 1, "/nope: No such file or directory"),
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
