"""The command before a project on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.record import Record
from app.schema.filters import checked_table
from app.schema.table import rejects_table
from sluice.ops.preflight.__main__ import main
from tests.support.google_cloud.project import PROJECT, READER, REGION, Project, healthy
from tests.support.google_cloud.server import serving

OFFLINE = ("canary", "dead-letter")
"""Checks that need a Pub/Sub: test_journey.py."""


def new_project() -> Project:
    """Return a healthy project with the default record's tables."""
    return healthy(checked_table(Record), rejects_table())


@contextmanager
def command(project: Project, *options: str) -> Iterator[list[str]]:
    """Yield the arguments of the command for a project that is served."""
    with serving(project) as url:
        yield [
            *("--project", PROJECT, "--region", REGION, "--reader", READER),
            *("--endpoint", f"*={url}", *options),
        ]


def findings(output: str) -> dict[str, tuple[str, str]]:
    """Return the first word and the rest of each check's line, by its name."""
    found = {}
    for line in output.splitlines():
        for kind in ("held", "failed", "not looked at"):
            if line.startswith(kind.ljust(13) + " ") and ":" in line:
                name, _, text = line.removeprefix(kind.ljust(13) + " ").partition(": ")
                found[name] = (kind, text)
    return found


def ask(project: Project, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit status and the findings."""
    with command(project, *options) as arguments:
        status = main(arguments)
    return status, findings(capsys.readouterr().out)
