"""What happens when workflows run: who waits for whom, what a deployment leaves behind, what a failed plan tells."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_workflows import FOLDER, TERRAFORM, jobs, steps


def test_an_apply_and_a_rollout_of_a_branch_take_turns() -> None:
    """Both wait for the other in one group; what waits for an apply to end is not in it, or neither would ever end."""
    deploys = jobs(FOLDER / "deploy.yml")
    apply = jobs(FOLDER / "infra.yml")["apply"]
    assert deploys["deploy"]["concurrency"] == apply["concurrency"]
    assert apply["concurrency"] == {"group": "traffic-${{ github.ref_name }}", "cancel-in-progress": False}
    waiting = [name for name, job in deploys.items() if "--workflow=infra.yml" in str(job)]
    assert waiting == ["infrastructure"]
    assert "concurrency" not in deploys["infrastructure"]
    assert deploys["deploy"]["needs"] == "infrastructure"
    assert deploys["infrastructure"]["needs"] == "tests"


def test_a_deployment_names_no_revision() -> None:
    """A name would be in the service's template, and Terraform would send it again; so the tag comes afterwards."""
    runs = [step.get("run", "").replace("\\\n", " ") for step in steps(FOLDER / "deploy.yml")]
    commands = [line.strip() for run in runs for line in run.splitlines() if "gcloud run" in line]
    deploying = [line for line in commands if line.startswith("gcloud run deploy")]
    assert len(deploying) == 1
    assert "--no-traffic" in deploying[0]
    assert not re.search(r"--(tag|revision-suffix)\b", deploying[0])
    assert any("update-traffic" in line and "--update-tags=" in line for line in commands)
    ignored = re.search(r"ignore_changes = \[(.*?)\n    \]", (TERRAFORM / "cloud_run.tf").read_text(), re.DOTALL)
    assert ignored is not None
    assert "template[0].containers[0].image" in ignored[1]
    assert "template[0].revision" not in ignored[1]


@pytest.mark.parametrize("failing", ["init", "plan", "neither"])
def test_a_plan_that_fails_says_why(failing: str, tmp_path: Path) -> None:
    """What the comment is made of has the output of both commands, and the step fails with either."""
    (step,) = (step for step in jobs(FOLDER / "infra.yml")["plan"]["steps"] if step.get("id") == "plan")
    terraform = tmp_path / "terraform"
    terraform.write_text(f'#!/bin/sh\necho "Error: $1 says why" >&2\n[ "$1" != {failing} ]\n')
    terraform.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # as GitHub does with shell: bash
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "ENVIRONMENT": "dev"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) == (failing == "neither")
    begun = ("init",) if failing == "init" else ("init", "plan")
    assert (tmp_path / "plan.txt").read_text().splitlines() == [f"Error: {command} says why" for command in begun]


def test_a_pull_request_gets_no_secret() -> None:
    """Its code could send it anywhere. Where on_call names Slack or PagerDuty, something must be there all the same."""
    plan = jobs(FOLDER / "infra.yml")["plan"]
    assert "secrets." not in str(plan)
    (step,) = (step for step in plan["steps"] if step.get("id") == "plan")
    assert step["env"] == {"TF_VAR_slack_token": "unused", "TF_VAR_pagerduty_key": "unused"}
