"""The command line of `sluice`: every command is there, has help, and a slip is told in a line."""

import os
import subprocess
import sys

import pytest

from sluice.__main__ import main
from sluice.cli.commands import GROUPS, all_commands, overview
from sluice.cli.parser import join_durations, parser_of

NAMES = [name for name, _ in all_commands()]


def test_every_command_has_one_name() -> None:
    """No two groups have the same."""
    assert len(NAMES) == len(set(NAMES))


def test_the_help_lists_every_command_in_its_group_and_imports_none() -> None:
    """The heavy packages are read by the commands that use them."""
    code = "import sys; sys.argv = ['sluice', '--help']\nfrom sluice.__main__ import run\ntry: run()\n"
    code += "finally: print(sorted({'grpc', 'aiohttp', 'duckdb', 'litestar', 'httpx'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert overview() in shown
    assert shown.splitlines()[-1] == "[]"
    assert all(f"{title}:" in shown for title in GROUPS)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It begins with the command as it is typed."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"], {})
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: sluice {name} ")


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


def test_a_duration_that_begins_with_a_minus_is_a_value() -> None:
    """Of the option before it; argparse would take it for another option."""
    assert join_durations(["replay", "--since", "-PT15M", "--yes"]) == ["replay", "--since=-PT15M", "--yes"]
    assert join_durations(["replay", "-PT15M"]) == ["replay", "-PT15M"]


def test_serve_takes_the_place_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that signals and the exit status are the service's own; nothing of the working folder is in front."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: became.append(arguments))
    main(["serve"], {})
    assert became == [[sys.executable, "-P", "-m", "app"]]


def test_no_option_may_be_abbreviated() -> None:
    """An abbreviation that works today would break with the next option."""
    assert not any(parser_of(name, command)[0].allow_abbrev for name, command in all_commands())
