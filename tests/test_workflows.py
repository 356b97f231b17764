"""Which images the workflow deploys, and what a pull request may see."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.rules import ROOT

FOLDER = ROOT / ".github" / "workflows"


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """Return a workflow's jobs by name."""
    found: dict[str, dict[str, Any]] = msgspec.yaml.decode(path.read_bytes())["jobs"]
    return found


GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "me/it",
    "GITHUB_REF": "refs/heads/main",
}
SIGNER = "https://github.com/me/it/.github/workflows/deploy.yml@refs/heads/main"
REPOSITORY = "europe-west1-docker.pkg.dev/p/sluice"
IMAGE = f"{REPOSITORY}/sluice@sha256:{'a' * 64}"


def verify(folder: Path, programs: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the step "Verify the image" as GitHub does, with these programs in place of the real ones.

    What is called goes to calls.txt, and the step's outputs to output.txt.
    """
    (step,) = (
        step
        for job in jobs(FOLDER / "deploy.yml").values()
        for step in job.get("steps", ())
        if step["name"] == "Verify the image"
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
            "REPOSITORY": REPOSITORY,
            "SERVICE": "sluice",
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
    done = verify(tmp_path, programs, DIGEST=digest, SIGNER=SIGNER)
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
        ("refs/heads/main", f"{WORKFLOW}@refs/heads/main", True),
        ("refs/heads/main", f"{WORKFLOW}@refs/heads/develop", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/heads/main", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW}@refs/tags/v1.2.9-of-mine", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW.replace('them', 'me')}@refs/tags/v1.2.9", False),
        ("refs/tags/v1.3.0", f"{WORKFLOW.replace('deploy.yml', 'deploy-yml')}@refs/tags/v1.2.9", False),
    ],
)
def test_an_image_of_an_earlier_release_can_be_deployed_again(
    signer: str, signed: str, *, may: bool, tmp_path: Path
) -> None:
    """By its digest, if any release of the workflow whose steps run has signed it; a branch is no release."""
    programs = {"cosign": COSIGN, "docker": ATTESTED}
    done = verify(tmp_path, programs, GIVEN=IMAGE, SIGNER=f"{WORKFLOW}@{signer}", SIGNED=signed)
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
    done = verify(tmp_path, programs, GIVEN=image, SIGNER=SIGNER)
    assert done.returncode != 0
    assert not (tmp_path / "output.txt").exists()


def test_a_pull_request_gets_no_secret() -> None:
    """Its code could send it anywhere. Where on_call names Slack or PagerDuty, something must be there all the same."""
    plan = jobs(FOLDER / "infra.yml")["plan"]
    assert "secrets." not in str(plan)
    (step,) = (step for step in plan["steps"] if step.get("id") == "plan")
    assert step["env"] == {"TF_VAR_slack_token": "unused", "TF_VAR_pagerduty_key": "unused"}
