"""From a commit to an image that can be trusted: attestations, signatures, advisories, releases."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.test_workflows import FOLDER, ROOT, jobs, parsed, steps


def pushes(path: Path) -> list[dict[str, Any]]:
    """Return the steps that push an image."""
    return [step for step in steps(path) if step.get("with", {}).get("push") is True]


@pytest.mark.parametrize(("name", "count"), [("deploy.yml", 1), ("release.yml", 2)])
def test_what_is_pushed_tells_what_it_is_made_of_and_is_signed(name: str, count: int) -> None:
    """Packages and provenance are in the index, and the signature is of its digest; builds had no credentials."""
    path = FOLDER / name
    assert len(pushes(path)) == count
    (job,) = (job for job in jobs(path).values() if pushes(path)[0] in job.get("steps", []))
    names = [step["name"] for step in job["steps"]]
    (built,) = (step for step in job["steps"] if step["name"] == "Build")
    assert built["with"]["outputs"] == "type=cacheonly"
    assert names.index("Build") < min(names.index(each) for each in names if each.startswith("Sign in"))
    signing = "".join(step.get("run", "") + str(step.get("env")) for step in job["steps"] if "Sign the" in step["name"])
    assert signing.count("cosign sign --yes") == 1
    for step in pushes(path):
        assert (step["with"]["sbom"], step["with"]["provenance"]) == (True, "mode=max")
        assert step["with"]["build-args"] == built["with"]["build-args"]
        assert f"steps.{step['id']}.outputs.digest" in signing


def test_only_a_verified_image_is_deployed() -> None:
    """Each step that deploys takes the image of the step that verifies, which comes first."""
    deploying = jobs(FOLDER / "deploy.yml")["deploy"]["steps"]
    (verified,) = (index for index, step in enumerate(deploying) if "cosign verify" in step.get("run", ""))
    assert deploying[verified]["id"] == "image"
    assert "if" not in deploying[verified]
    for index, step in enumerate(deploying):
        if "gcloud run deploy" in step.get("run", ""):
            assert index > verified
            assert step["env"]["IMAGE"] == "${{ steps.image.outputs.image }}"


def test_advisories_are_looked_up_every_day() -> None:
    """Those of the lock file and of the image; a finding fails the run, which tells who watches the repository."""
    workflow = parsed(FOLDER / "advisories.yml")
    assert re.fullmatch(r"\d+ \d+ \* \* \*", workflow["on"]["schedule"][0]["cron"])
    runs = [step.get("run") or step["uses"].partition("@")[0] for step in steps(FOLDER / "advisories.yml")]
    assert {"make audit", "anchore/scan-action"} <= set(runs)
    assert '"$$uv" audit --locked' in (ROOT / "Makefile").read_text()
    assert "continue-on-error" not in str(workflow)


def test_a_release_is_of_a_version() -> None:
    """Tags are versions, the pattern of the version's file exists, and everything waits for the tests."""
    workflow = parsed(FOLDER / "release.yml")
    assert workflow["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    compared = str(workflow["jobs"]["images"])
    assert 'grep -qx "VERSION = \\"${GITHUB_REF_NAME#v}\\"" app/version.py' in compared.replace("\\\\", "\\")
    assert re.search(r'^VERSION = "\d+\.\d+\.\d+"$', (ROOT / "app" / "version.py").read_text(), re.MULTILINE)
    assert workflow["jobs"]["images"]["needs"] == "tests"
    assert workflow["jobs"]["documentation"]["needs"] == "tests"
    assert workflow["jobs"]["publish"]["needs"] == ["images", "documentation"]
