"""What happens when the steps of a release run: two archives, each signed, and the release that has them."""

import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.test_workflow_runs import run_step
from tests.test_workflows import FOLDER, jobs

RELEASE, IMAGE = "release.yml", f"ghcr.io/me/sluice@sha256:{'a' * 64}"
TERRAFORM, DOCS = "sluice-terraform-1.2.3.tar.gz", "sluice-docs-1.2.3.zip"
# Signs what exists only, as the real one; what it leaves has the name of its option.
COSIGN = """[[ -s ${@: -1} ]] || exit 1
for each; do case $each in --bundle=*) echo signed >"${each#--bundle=}" ;; esac; done"""
DOWNLOAD = f"[[ $1 != run ]] || echo site >{DOCS}"


def release(step: str, folder: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step of the release of version 1.2.3."""
    return run_step(
        *(step, folder, programs), workflow=RELEASE, GITHUB_REF_NAME="v1.2.3", GITHUB_RUN_ID="42", IMAGE=IMAGE
    )


def calls(folder: Path) -> list[str]:
    """Return what was called."""
    return (folder / "calls.txt").read_text().splitlines()


def test_the_documentation_is_packed_under_its_version(tmp_path: Path) -> None:
    """By the make target whose archive the tests read offline, and under a name that is handed over."""
    done = release("Build the documentation", tmp_path, {"make": "true"})
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path) == [f"make docs ARCHIVE={DOCS}"]
    (handed,) = (step["with"] for step in jobs(FOLDER / RELEASE)["documentation"]["steps"] if "Hand" in step["name"])
    assert fnmatch(DOCS, handed["path"])
    assert (handed["name"], handed["if-no-files-found"]) == ("sluice-docs", "error")


def test_packages_of_others_build_without_rights() -> None:
    """The job that builds the site may neither sign nor write; the one that signs runs no target of make."""
    found = jobs(FOLDER / RELEASE)
    assert found["documentation"]["permissions"] == {"contents": "read"}
    assert not any("make " in step.get("run", "") for step in found["publish"]["steps"])


def test_the_documentation_of_this_run_is_signed(tmp_path: Path) -> None:
    """It is fetched from the same run, and its signature stands beside it."""
    done = release("Sign the documentation", tmp_path, {"gh": DOWNLOAD, "cosign": COSIGN})
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path) == [
        "gh run download 42 --name=sluice-docs",
        f"cosign sign-blob --yes --bundle={DOCS}.sigstore.json {DOCS}",
    ]
    assert (tmp_path / f"{DOCS}.sigstore.json").read_text() == "signed\n"


@pytest.mark.parametrize(
    "programs",
    [{"gh": "exit 1", "cosign": COSIGN}, {"gh": "true", "cosign": COSIGN}, {"gh": DOWNLOAD, "cosign": "exit 1"}],
    ids=["not fetched", "of another name", "not signed"],
)
def test_nothing_is_released_without_its_documentation(programs: dict[str, str], tmp_path: Path) -> None:
    """The step fails, and the release is made after it."""
    assert release("Sign the documentation", tmp_path, programs).returncode != 0
    names = [step["name"] for step in jobs(FOLDER / RELEASE)["publish"]["steps"]]
    assert names[-2:] == ["Sign the documentation", "Make the release"]


def test_a_release_has_both_archives_with_their_signatures(tmp_path: Path) -> None:
    """The module's names the image; what is not of this release stays out."""
    module = tmp_path / "infra" / "terraform"
    module.mkdir(parents=True)
    (module / "main.tf").write_text("# nothing\n")
    for command in (["init", "-q"], ["add", "infra"], ["commit", "-qm", "One"]):
        author = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        subprocess.run(["git", *author, *command], cwd=tmp_path, check=True)
    programs = {"gh": DOWNLOAD, "cosign": COSIGN}
    for step in ("Make the archive", "Sign the documentation", "Make the release"):
        done = release(step, tmp_path, programs)
        assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / TERRAFORM) as packed:
        settings = packed.extractfile("sluice-terraform-1.2.3/release.auto.tfvars")
        assert settings is not None
        assert f'image = "{IMAGE}"' in settings.read().decode()
        assert "sluice-terraform-1.2.3/main.tf" in packed.getnames()
    created = calls(tmp_path)[-1].split()
    assert created[:4] == ["gh", "release", "create", "v1.2.3"]
    signed = {f"{archive}{end}" for archive in (TERRAFORM, DOCS) for end in ("", ".sigstore.json")}
    assert {each for each in created if each.startswith("sluice-")} == signed
    assert "--verify-tag" in created
    notes = (tmp_path / "notes.md").read_text()
    assert IMAGE in notes
    assert "site/index.html" in notes
