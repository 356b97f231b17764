"""`sluice install`, before stand-ins for terraform, gcloud and gh, and with git itself."""

import signal
from pathlib import Path

import pytest

from sluice.ops.install.command import STEPS
from sluice.ops.install.names import TERRAFORM, value_of, with_value
from tests.ops.install.stage import Stage, new_stage
from tests.ops.preflight.asking import new_project
from tests.support.google_cloud.project import Project
from tests.support.google_cloud.server import serving

PARTS = 16
"""A run in every part is interrupted at every sixteenth call: at all of them together."""
SHORT = {("kill", 0), ("fail", PARTS // 2)}
"""The parts of the short form: together they meet every eighth call."""
EXPECTED = {
    "bucket": True,
    "applied": True,
    "samples": [],
    "deployed": True,
    "pushes": True,
    "lost": False,
    "branches": ["develop"],
    "subjects": ["Let Pub/Sub push to dev", "Configure dev", "Begin"],
}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Make a clone and a world."""
    return new_stage(tmp_path)


def test_an_installation_goes_through(stage: Stage) -> None:
    """Everything is there at the end, the state of bootstrap has its copy, and a second run does nothing."""
    assert stage.install() == 0, (stage.folder / "output.txt").read_text()
    outcome = stage.outcome()
    assert {name: outcome[name] for name in EXPECTED} == EXPECTED
    assert outcome["objects"] == {"gs://acme-sluice-dev-terraform/bootstrap/dev.tfstate": "state\n"}
    assert outcome["variables"]["ENVIRONMENTS"] == '["dev"]'
    assert outcome["variables"]["SERVICE of dev"] == "sluice"
    assert "INGEST_SERVICE of dev" not in outcome["variables"]
    assert outcome["environment"]["deployment_branch_policy"]["custom_branch_policies"] is True
    text = (stage.root / TERRAFORM / "environments" / "dev.tfvars").read_text()
    assert value_of(text, "project_number") == "100000000042"
    assert ".terraform.lock.hcl" in outcome["files"]
    calls = len(stage.world()["calls"])
    assert stage.install() == 0
    assert len(stage.world()["calls"]) == calls


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        pytest.param(mode, part, marks=() if (mode, part) in SHORT else pytest.mark.long)
        for mode in ("kill", "fail")
        for part in range(PARTS)
    ],
)
def test_an_interruption_at_any_call_is_resumed(tmp_path: Path, mode: str, part: int) -> None:
    """Killed after a call had its effect, or failed before it had one, a second run ends where the first would have."""
    whole = new_stage(tmp_path / "whole")
    assert whole.install() == 0
    expected, calls = whole.outcome(), whole.world()["calls"]
    for at in range(1 + part, len(calls) + 1, PARTS):
        stage, call = new_stage(tmp_path / str(at)), calls[at - 1]
        first = stage.install(at, mode)
        assert first == (-signal.SIGKILL if mode == "kill" else 1) or is_a_question(call, mode), (at, call)
        assert stage.install() == 0, (at, call, (stage.folder / "output.txt").read_text()[-1_500:])
        assert stage.outcome() == expected, (at, call)


def is_a_question(call: list[str], mode: str) -> bool:
    """Return whether the failure of a call is an answer, too: whether something is there."""
    return mode == "fail" and (call[:3] == ["gcloud", "storage", "ls"] or call[:2] == ["git", "diff"])


def test_a_state_that_is_lost_is_fetched(stage: Stage) -> None:
    """Another person resumes, in a clone without the state of bootstrap: nothing is created twice."""
    assert stage.install() == 0
    (stage.root / TERRAFORM / "bootstrap" / "dev.tfstate").unlink()
    (stage.root / ".install" / "dev.json").unlink()
    before = stage.outcome()
    assert stage.install() == 0, (stage.folder / "output.txt").read_text()
    assert stage.outcome() == before


def test_a_deployment_that_failed_is_run_again(stage: Stage) -> None:
    """The sample keeps the traffic meanwhile, so nothing is pushed to it."""
    stage.change(failing_runs=1)
    assert stage.install() == 1
    assert stage.world()["samples"] == ["sluice-00001-aaa"]
    assert stage.install() == 0
    assert {name: stage.outcome()[name] for name in EXPECTED} == EXPECTED
    assert ["gh", "run", "rerun"] in [call[:3] for call in stage.world()["calls"]]


def test_a_sample_that_cannot_be_deleted_stops_it(stage: Stage) -> None:
    """It has traffic, so pushes stay off."""
    assert stage.install() == 0
    stage.change(samples=["sluice-00009-zzz"], deployed=False)
    run = stage.command("install", "--from", "samples", "--yes")
    assert run.returncode == 1
    assert "sluice-00009-zzz cannot be deleted, so it still has traffic" in run.stderr
    assert "The step `samples` is not done; run the same command to resume" in run.stderr
    assert stage.outcome()["samples"] == ["sluice-00009-zzz"]


def test_the_plan_does_nothing(stage: Stage) -> None:
    """It shows every step and its commands, and leaves clone and world as they were."""
    before = stage.world()
    run = stage.command("install", "--plan")
    assert run.returncode == 0, run.stderr
    assert [f"{at}/{len(STEPS)} {step.name}" in run.stdout for at, step in enumerate(STEPS, 1)] == [True] * len(STEPS)
    assert "$ terraform -chdir=infra/terraform apply -var-file=environments/dev.tfvars" in run.stdout
    assert "pushes = true" in run.stdout
    assert run.stdout.endswith("nothing was changed\n")
    assert stage.world() == before
    assert stage.git("status", "--short") == ""


def test_what_is_not_decided_is_asked_for_first(stage: Stage) -> None:
    """The files of the repository have invented names."""
    file = stage.root / TERRAFORM / "environments" / "dev.tfvars"
    file.write_text(file.read_text().replace("acme-sluice", "my-company-sluice"))
    run = stage.command("install", "--yes")
    assert run.returncode == 1
    assert "decide project_id" in run.stderr
    assert stage.world()["calls"] == []


def test_the_state_of_another_project_is_not_used(stage: Stage) -> None:
    """Its steps were done elsewhere."""
    assert stage.install() == 0
    file = stage.root / TERRAFORM / "environments" / "dev.tfvars"
    file.write_text(file.read_text().replace("acme-sluice-dev", "acme-other-dev"))
    run = stage.command("install", "--yes")
    assert run.returncode == 1
    assert "records steps for acme-sluice-dev" in run.stderr


@pytest.mark.parametrize("breaks", [False, True])
def test_the_preflight_is_the_gate(stage: Stage, breaks: bool) -> None:  # noqa: FBT001 - two cases
    """The real one, before a Google on this machine: a failed check stops before anything is created."""
    project: Project = new_project()
    if breaks:
        project.permissions.clear()
    file = stage.root / TERRAFORM / "environments" / "dev.tfvars"
    text = with_value(file.read_text(), "project_id", '"my-sluice-dev"')
    file.write_text(text)
    with serving(project) as url:
        run = stage.command("install", "--yes", "--endpoint", f"*={url}")
    assert run.returncode == 1
    assert "a check of the preflight failed: follow its cure" in run.stderr
    assert not stage.world()["bucket"]


def test_a_value_of_a_stream_is_not_the_systems() -> None:
    """In tfvars `pushes` and names are also members of streams, which are indented."""
    text = 'streams = {\n  visits = {\n    pushes = false\n    topic  = "other"\n  }\n}\n'
    assert with_value(text, "pushes", "true") == f"{text}pushes = true\n"
    assert with_value(f"{text}pushes = false\n", "pushes", "true") == f"{text}pushes = true\n"
    assert value_of(text, "topic", "mine") == "mine"


def test_destroy_wakes_no_workflow(stage: Stage) -> None:
    """It stops the workflows, lifts the protection and destroys; without the project's id nothing is deleted."""
    assert stage.install() == 0
    stopped = stage.command("destroy", "--yes", "--confirm", "another")
    assert (stopped.returncode, stage.world()["applied"]) == (1, True)
    planned = stage.command("destroy", "--plan")
    assert (planned.returncode, stage.world()["applied"]) == (0, True)
    assert "terraform -chdir=infra/terraform destroy" in planned.stdout
    run = stage.command("destroy", "--yes", "--confirm", "acme-sluice-dev")
    assert run.returncode == 0, run.stderr
    world = stage.world()
    assert (world["applied"], world["variables"]["ENVIRONMENTS"]) == (False, "[]")
    assert not (stage.root / ".install" / "dev.json").exists()
    assert stage.command("destroy", "--yes", "--confirm", "acme-sluice-dev").returncode == 0


def test_a_missing_program_is_named(stage: Stage) -> None:
    """Before anything is done."""
    (stage.folder / "bin" / "terraform").unlink()
    (stage.folder / "bin" / "gh").unlink()
    run = stage.command("install", "--repository", "acme/sluice")
    assert run.returncode == 1
    assert "not on PATH: gh" in run.stderr or "not on PATH: gh, terraform" in run.stderr
