"""The steps of the first deployment: the image, the sample's end, pushes on."""

import time
from contextlib import suppress

import msgspec

from sluice.ops.install.names import TERRAFORM, Names, with_value
from sluice.ops.install.shell import InstallError, Shell

_RUN_WITHIN_S = 300.0
_PAUSE_S = 5.0
_SAMPLE = "spec.containers.image~pkg.dev/cloudrun/"


def deploy_first_image(names: Names, shell: Shell) -> None:
    """Commit the files of the environment, push them, and wait for the deployment."""
    _commit(shell, f"Configure {names.environment}")
    _deploy(names, shell)


def remove_samples(names: Names, shell: Shell) -> None:
    """Delete the revisions of Google's sample, so that no rollback reaches one. It answers 200 and stores nothing."""
    place = (f"--project={names.project}", f"--region={names.region}")
    for revision in _samples(names, shell, "SAMPLE_REVISION"):
        with suppress(InstallError):  # it is still in the list below
            shell.do("gcloud", "run", "revisions", "delete", revision, *place, "--quiet")
    if left := _samples(names, shell, ""):
        raise InstallError(
            f"{', '.join(left)} cannot be deleted, so it still has traffic: the deployment did not succeed. "
            "Deploy again (`gh workflow run deploy.yml`), and run this again"
        )


def _samples(names: Names, shell: Shell, expected: str) -> list[str]:
    place = (f"--project={names.project}", f"--region={names.region}")
    options = (f"--filter={_SAMPLE}", "--format=value(metadata.name)")
    return [
        revision
        for service in names.services
        for revision in shell.ask(
            *("gcloud", "run", "revisions", "list", f"--service={service}", *place, *options), expected=expected
        ).split()
    ]


def turn_pushes_on(names: Names, shell: Shell) -> None:
    """Let Pub/Sub push. The same apply starts the canary and the alert on the backlog."""
    shell.change(names.tfvars, lambda text: with_value(text, "pushes", "true"), "pushes = true")
    _commit(shell, f"Let Pub/Sub push to {names.environment}")
    _deploy(names, shell)
    if shell.ask("terraform", f"-chdir={TERRAFORM}", "output", "-raw", "pushes", expected="on") != "on":
        raise InstallError("Terraform says that pushes are off: see the run of infra.yml, and run this again")


def _commit(shell: Shell, subject: str) -> None:
    shell.do("git", "add", str(TERRAFORM))
    if not shell.succeeds("git", "diff", "--cached", "--quiet", "--", str(TERRAFORM)):
        shell.do("git", "commit", "--quiet", "-m", subject, "--", str(TERRAFORM))


def _deploy(names: Names, shell: Shell) -> None:
    """Push the commit, and wait for its run of deploy.yml; one that had failed before is run again.

    That workflow waits for infra.yml of the same commit.
    """
    shell.do("git", "push", "origin", f"HEAD:{names.branch}")
    commit = shell.ask("git", "rev-parse", "HEAD", expected="COMMIT")
    run, conclusion = _run_of(names, shell, commit)
    if conclusion and conclusion != "success":
        shell.do("gh", "run", "rerun", run, "--repo", names.repository, "--failed")
    if conclusion != "success":
        shell.do("gh", "run", "watch", run, "--repo", names.repository, "--exit-status")


def _run_of(names: Names, shell: Shell, commit: str) -> tuple[str, str]:
    """Return the id and the conclusion of the newest run for a commit, waiting for GitHub to start one."""
    deadline = time.monotonic() + _RUN_WITHIN_S
    while True:
        answer = shell.ask(
            *("gh", "run", "list", "--repo", names.repository, "--workflow=deploy.yml", f"--commit={commit}"),
            *("--limit=1", "--json=databaseId,conclusion"),
            expected='[{"databaseId": "RUN", "conclusion": ""}]',
        )
        runs = msgspec.json.decode(answer)
        if runs:
            return str(runs[0]["databaseId"]), str(runs[0]["conclusion"] or "")
        if time.monotonic() > deadline:
            raise InstallError(
                f"GitHub started no run of deploy.yml for {commit}: in a fork, allow workflows under Actions first"
            )
        time.sleep(_PAUSE_S)
