"""What happens when workflows run: which images are deployed, who waits for whom, what a failed plan tells."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.rules import ROOT

FOLDER = ROOT / ".github" / "workflows"
TEMPLATE = ROOT / "sluice" / "cli" / "new" / "template" / "github" / "workflows"


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """Return a workflow's jobs by name."""
    found: dict[str, dict[str, Any]] = msgspec.yaml.decode(path.read_bytes())["jobs"]
    return found


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


GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "me/it",
    "GITHUB_REF": "refs/heads/main",
}
SIGNER = "https://github.com/me/it/.github/workflows/deploy.yml@refs/heads/main"
REPOSITORY = "europe-west1-docker.pkg.dev/p/sluice"
IMAGE = f"{REPOSITORY}/sluice@sha256:{'a' * 64}"


def run_step(
    name: str, folder: Path, programs: dict[str, str], *, workflow: str = "deploy.yml", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a step of a workflow as GitHub does, with these programs in place of the real ones.

    What is called goes to calls.txt, and the step's outputs to output.txt.
    """
    (step,) = (
        step for job in jobs(FOLDER / workflow).values() for step in job.get("steps", ()) if step["name"] == name
    )
    for program, body in programs.items():
        path = folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/bash\necho "{path.name} $*" >>{folder}/calls.txt\n{body}\n')
        path.chmod(0o755)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(folder / "output.txt"),
            "GITHUB_SHA": "c0ffee",
            **GITHUB,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


ATTESTED = """echo '{"made": "of this"}'"""
needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which GitHub's runners have")


@needs_jq
def test_a_signed_and_attested_image_may_be_deployed(tmp_path: Path) -> None:
    """By the digest that was pushed, if this workflow signed it on this branch."""
    programs = {"cosign": "true", "docker": ATTESTED}
    digest = IMAGE.partition("@")[2]
    done = run_step(
        *("Verify the image", tmp_path, programs), REPOSITORY=REPOSITORY, SERVICE="sluice", DIGEST=digest, SIGNER=SIGNER
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output.txt").read_text() == f"image={IMAGE}\n"
    calls = (tmp_path / "calls.txt").read_text()
    assert f"cosign verify {IMAGE} --certificate-oidc-issuer=https://token.actions.githubusercontent.com" in calls
    assert "--certificate-github-workflow-repository=me/it --certificate-github-workflow-ref=refs/heads/main" in calls
    assert all(part in calls for part in (".SBOM.SPDX", ".Provenance.SLSA"))


WORKFLOW = "https://github.com/them/sluice/.github/workflows/deploy.yml"
# Compares the identity in the certificate, as the real one does.
COSIGN = """for each; do
  case $each in --certificate-identity-regexp=*) grep -qE "${each#*=}" <<<"$SIGNED"; exit ;; esac
done
exit 1"""


@needs_jq
@pytest.mark.parametrize(
    ("signer", "signed", "may"),
    [
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/tags/v1.3.0", True),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/tags/v1.2.9", True),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@{'c0ffee' * 6}c0ff", True),
        ("refs/heads/main", f"{WORKFLOW}@refs/heads/main", True),
        ("refs/heads/main", f"{WORKFLOW}@refs/heads/develop", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/heads/main", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/tags/v1.2.9-of-mine", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW.replace('them', 'me')}@refs/tags/v1.2.9", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW.replace('deploy.yml', 'deploy-yml')}@refs/tags/v1.2.9", False),
        ("refs/tags/v1.3.0", f"https://example.com/?{WORKFLOW}@refs/tags/v1.2.9", False),
    ],
)
def test_an_image_of_an_earlier_release_can_be_deployed_again(
    signer: str, signed: str, *, may: bool, tmp_path: Path
) -> None:
    """By its digest, if any release of the workflow whose steps run has signed it; a branch is no release."""
    done = run_step(
        *("Verify the image", tmp_path, {"cosign": COSIGN, "docker": ATTESTED}),
        REPOSITORY=REPOSITORY,
        SERVICE="sluice",
        GIVEN=IMAGE,
        SIGNER=f"{WORKFLOW}@{signer}",
        SIGNED=signed,
    )
    assert (done.returncode == 0) is may, done.stderr


@needs_jq
@pytest.mark.parametrize(
    ("programs", "image"),
    [
        ({"cosign": "exit 1", "docker": ATTESTED}, IMAGE),
        ({"cosign": "true", "docker": "echo null"}, IMAGE),
        ({"cosign": "true", "docker": ATTESTED}, f"{REPOSITORY}/sluice:latest"),
        ({"cosign": "true", "docker": ATTESTED}, IMAGE.replace("europe-west1", "elsewhere")),
    ],
    ids=["not signed", "not attested", "by tag", "of another registry"],
)
def test_no_other_image_is_deployed(programs: dict[str, str], image: str, tmp_path: Path) -> None:
    """The step fails, and there is no image for the steps after it."""
    done = run_step(
        *("Verify the image", tmp_path, programs), REPOSITORY=REPOSITORY, SERVICE="sluice", GIVEN=image, SIGNER=SIGNER
    )
    assert done.returncode != 0
    assert not (tmp_path / "output.txt").exists()


@needs_jq
def test_the_signer_is_the_workflow_whose_steps_run(tmp_path: Path) -> None:
    """The token of this run says so, in a member that is not the caller's; the padding of base64 is left out in it."""
    for claims in (
        {"workflow_ref": "them/orders/x.yml@main", "job_workflow_ref": "me/it/.github/workflows/deploy.yml@v1"},
        {
            "workflow_ref": "them/orders/x.yml@main",
            "job_workflow_ref": "me/it/.github/workflows/deploy.yml@v1.2",
            "é": "?>",
        },
    ):
        body = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
        (tmp_path / "output.txt").unlink(missing_ok=True)
        done = run_step(
            *("Ask who signs here", tmp_path, {"curl": f"""echo '{{"value": "e30.{body}.c2ln"}}'"""}),
            ACTIONS_ID_TOKEN_REQUEST_URL="https://token.example/?v=1",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="t",
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "output.txt").read_text() == f"identity=https://github.com/{claims['job_workflow_ref']}\n"
        assert (
            "Authorization: Bearer t https://token.example/?v=1&audience=sigstore"
            in (tmp_path / "calls.txt").read_text()
        )


@needs_jq
@pytest.mark.parametrize(("relies", "makes"), [("true", True), ("false", False)])
def test_the_ids_are_indexed_where_the_service_relies_on_it(relies: str, *, makes: bool, tmp_path: Path) -> None:
    """With the record types and the tables of the service's own settings; a secret among them is left alone."""
    settings = {"SLUICE_STREAMS": "shop.streams:STREAMS", "SLUICE_BIGQUERY_DATASET": "d", "SLUICE_HOST": "0.0.0.0"}  # noqa: S104 - as on Cloud Run
    env: list[dict[str, object]] = [
        {"name": name, "value": value} for name, value in {**settings, "SLUICE_ID_INDEX": relies}.items()
    ]
    env += [{"name": "SLUICE_BIGQUERY_LOCATION"}, {"name": "SLUICE_SIGNING_SECRET", "valueFrom": {}}]
    described = {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}
    programs = {
        "gcloud": f"echo '{msgspec.json.encode(described).decode()}'",
        ".venv/bin/sluice": 'env | grep ^SLUICE_ | sort >"$RUNNER_TEMP/seen.txt"',
    }
    done = run_step(*("Index the ids", tmp_path, programs), SERVICE="sluice", PROJECT="p", REGION="r")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls.txt").read_text().splitlines()
    assert calls[0] == "gcloud run services describe sluice --format=json --project=p --region=r"
    assert calls[1:] == (["sluice schema index --apply"] if makes else [])
    if makes:
        assert (tmp_path / "seen.txt").read_text().split() == [
            *("SLUICE_BIGQUERY_DATASET=d", "SLUICE_BIGQUERY_LOCATION=", "SLUICE_ID_INDEX=true"),
            "SLUICE_STREAMS=shop.streams:STREAMS",
        ]


@needs_jq
def test_an_index_that_fails_stops_the_deployment(tmp_path: Path) -> None:
    """Before there is anything to roll back; a rollback by digest does not ask for one."""
    env = [{"name": "SLUICE_ID_INDEX", "value": "true"}]
    described = {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}
    programs = {"gcloud": f"echo '{msgspec.json.encode(described).decode()}'", ".venv/bin/sluice": "exit 2"}
    done = run_step(*("Index the ids", tmp_path, programs), SERVICE="sluice", PROJECT="p", REGION="r")
    assert done.returncode == 2
    names = {step["name"]: step for step in jobs(FOLDER / "deploy.yml")["deploy"]["steps"]}
    assert names["Index the ids"]["if"] == "${{ !inputs.image }}"
    order = list(names)
    assert order.index("Sign in to Google Cloud") < order.index("Index the ids")
    assert order.index("Index the ids") < order.index("Write down who has the traffic")


@pytest.mark.parametrize(
    ("state", "status"), [("completed success", 0), ("completed failure", 1), ("completed cancelled", 1)]
)
def test_a_deployment_waits_for_the_tests_of_its_commit(state: str, status: int, tmp_path: Path) -> None:
    """It looks until the run has ended, and goes on with a success only."""
    answers = f'[[ -e {tmp_path}/asked ]] && echo "{state}" || echo "in_progress "; touch {tmp_path}/asked'
    done = run_step("Wait for the tests of this commit", tmp_path, {"gh": answers, "sleep": "true"})
    assert done.returncode == status
    calls = (tmp_path / "calls.txt").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["gh", "sleep", "gh"]
    assert all("--workflow=ci.yml --commit=c0ffee --event=push" in call for call in calls[::2])


@pytest.mark.parametrize("folder", [FOLDER, TEMPLATE], ids=["ours", "a project's"])
def test_a_run_that_a_deployment_waits_for_is_not_cancelled(folder: Path) -> None:
    """The next push to the branch is in another group, and only runs of pull requests are cancelled."""
    concurrency = msgspec.yaml.decode((folder / "ci.yml").read_bytes())["concurrency"]
    assert concurrency["group"].endswith("-${{ github.event_name == 'pull_request' && github.ref || github.sha }}")
    assert concurrency["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


def test_nights_are_worked_only_where_somebody_asked_for_it() -> None:
    """A copy of the repository pays for no runs unasked; the long runs are all there where they are wanted."""
    nightly = jobs(FOLDER / "nightly.yml")
    assert {job["if"] for job in nightly.values()} == {
        "vars.NIGHTLY == 'on' || github.event_name == 'workflow_dispatch'"
    }
    targets = {each["target"] for each in nightly["proofs"]["strategy"]["matrix"]["include"]}
    assert {"attack", "soak", "load"} <= targets


def test_a_commit_without_tests_is_not_deployed(tmp_path: Path) -> None:
    """If ci.yml never began, the deployment ends with a reason."""
    done = run_step("Wait for the tests of this commit", tmp_path, {"gh": "true", "sleep": "true"})
    assert done.returncode == 1
    assert "does not run for this commit" in done.stdout


@pytest.mark.parametrize("services", ["sluice", "sluice-ingest sluice"])
def test_every_service_goes_back_even_if_one_cannot(services: str, tmp_path: Path) -> None:
    """The rollback of the first may fail; that of the second is tried all the same, and the step fails."""
    done = run_step(
        *("Roll back", tmp_path, {".venv/bin/sluice": "[[ $* != *--service=sluice-ingest* ]]"}),
        PROJECT="p",
        REGION="r",
        SERVICES=f" {services}",
        SERVICE="sluice",
        TAG="candidate",
    )
    calls = (tmp_path / "calls.txt").read_text()
    assert [f"--restore={tmp_path}/{service}.json" in calls for service in services.split()] == [True] * len(
        services.split()
    )
    assert done.returncode == len(services.split()) - 1


def test_a_pull_request_gets_no_secret() -> None:
    """Its code could send it anywhere. Where on_call names Slack or PagerDuty, something must be there all the same."""
    plan = jobs(FOLDER / "infra.yml")["plan"]
    assert "secrets." not in str(plan)
    (step,) = (step for step in plan["steps"] if step.get("id") == "plan")
    assert step["env"] == {"TF_VAR_slack_token": "unused", "TF_VAR_pagerduty_key": "unused"}
