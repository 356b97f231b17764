"""`sluice preflight`: its options, its names, and the client that asks Google."""

import argparse
from pathlib import Path

import pytest

from sluice.ops.preflight.command import add_arguments, check
from sluice.ops.preflight.deployment import DeploymentError, read_tfvars
from tests.ops.preflight.project import SERVICE, Project, healthy

TFVARS = Path(__file__).parents[3] / "infra" / "terraform" / "environments" / "dev.tfvars"


def preflight(project: Project | None, *options: str) -> int:
    """Return the exit status of the command."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return check(parser.parse_args(["--tfvars", str(TFVARS), *options]), project)


def test_the_status_and_the_lines_say_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Held, failed, and nothing to check."""
    project = healthy()
    assert preflight(project) == 0
    assert [each.split()[0] for each in capsys.readouterr().out.splitlines()] == ["held"] * 6
    project.resources[project.subscription]["ackDeadlineSeconds"] = 10
    assert preflight(project) == 1
    assert "failed       clocks: the ack deadline is 10 s" in capsys.readouterr().out
    del project.resources[SERVICE]
    assert preflight(project) == 2
    assert "there is no service" in capsys.readouterr().err


def test_names_come_from_the_variables_of_an_environment() -> None:
    """Of each environment's file, as it is in the repository; what has no default must be there."""
    for file in sorted(TFVARS.parent.glob("*.tfvars")):
        if not file.name.endswith(".bootstrap.tfvars"):
            found = read_tfvars(file.read_text())
            assert (found.project, found.region) == (f"my-company-sluice-{file.stem}", "europe-west1")
    text = 'project_id = "p" # ours\nregion="r"\nsystem   = "orders"\n'
    assert read_tfvars(text, "returns").subscription == "projects/p/subscriptions/orders-push.returns"
    with pytest.raises(DeploymentError, match="no region"):
        read_tfvars('project_id = "p"\n# region = "r"\n')
