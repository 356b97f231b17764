"""The steps on Google Cloud: APIs, numbers, bootstrap, the first apply."""

from pathlib import Path

from sluice.ops.install.names import TERRAFORM, Names, with_value
from sluice.ops.install.shell import InstallError, Shell

FIRST_APIS = (
    "serviceusage.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "pubsub.googleapis.com",
)
BOOTSTRAP = TERRAFORM / "bootstrap"


def enable_apis(names: Names, shell: Shell) -> None:
    """Enable what Terraform needs to enable the rest, and create the account by which Pub/Sub acts."""
    shell.do("gcloud", "services", "enable", *FIRST_APIS, f"--project={names.project}")
    shell.do(
        *("gcloud", "beta", "services", "identity", "create"),
        *("--service=pubsub.googleapis.com", f"--project={names.project}"),
    )


def write_numbers(names: Names, shell: Shell) -> None:
    """Look the numbers up that Google and GitHub gave, and write them into the files of the environment."""
    number = shell.ask(
        *("gcloud", "projects", "describe", names.project, "--format=value(projectNumber)"), expected="PROJECT_NUMBER"
    )
    repository_id = shell.ask("gh", "api", f"repos/{names.repository}", "--jq", ".id", expected="REPOSITORY_ID")
    shell.change(
        names.tfvars, lambda text: with_value(text, "project_number", f'"{number}"'), f"project_number = {number}"
    )
    shell.change(
        names.bootstrap_tfvars,
        lambda text: with_value(
            with_value(text, "project_id", f'"{names.project}"'), "repository_id", f'"{repository_id}"'
        ),
        f"project_id = {names.project}, repository_id = {repository_id}",
    )
    bucket = f"{names.project}-terraform"
    shell.change(names.backend, lambda text: with_value(text, "bucket", f'"{bucket}"'), f"bucket = {bucket}")


def preflight(phase: str, *options: str) -> "_Preflight":
    """Return the step that runs the preflight of a phase."""
    return _Preflight(phase, options)


class _Preflight:
    def __init__(self, phase: str, options: tuple[str, ...]) -> None:
        self._phase, self._options = phase, options

    def __call__(self, names: Names, shell: Shell) -> None:
        """Run it; a failed check stops the installation with its cure."""
        endpoints = [part for each in names.endpoints for part in ("--endpoint", each)]
        command = (*names.preflight, self._phase, "--tfvars", str(names.tfvars))
        try:
            shell.do(*command, *self._options, *endpoints)
        except InstallError as error:
            raise InstallError("a check of the preflight failed: follow its cure, and run this again") from error


def bootstrap(names: Names, shell: Shell) -> None:
    """Create the bucket of the state, the sign-in of GitHub's workflows, and the identities that run Terraform.

    Its own state is a file here, with a copy in the bucket. Without it a second apply would create everything again,
    and fail; so a copy is fetched first if the file is missing.
    """
    state, copy = BOOTSTRAP / state_file(names), f"gs://{names.project}-terraform/bootstrap/{state_file(names)}"
    if not shell.succeeds("test", "-s", str(state)) and shell.succeeds("gcloud", "storage", "ls", copy):
        shell.do("gcloud", "storage", "cp", copy, str(state))
    shell.do("terraform", f"-chdir={BOOTSTRAP}", "init", "-input=false")
    try:
        shell.do(
            *("terraform", f"-chdir={BOOTSTRAP}", "apply", f"-state={state_file(names)}", *names.approval),
            f"-var-file=../environments/{names.bootstrap_tfvars.name}",
        )
    except InstallError:
        # It may have created something; if it failed early, there is no bucket yet.
        if shell.succeeds("gcloud", "storage", "ls", f"gs://{names.project}-terraform"):
            shell.do("gcloud", "storage", "cp", str(state), copy)
        raise
    shell.do("gcloud", "storage", "cp", str(state), copy)


def state_file(names: Names) -> Path:
    """Return the file of bootstrap's state, as `terraform` in bootstrap/ calls it."""
    return Path(f"{names.environment}.tfstate")


def first_apply(names: Names, shell: Shell) -> None:
    """Create everything else; the service runs Google's sample, and Pub/Sub does not push to it."""
    folder = f"-chdir={TERRAFORM}"
    shell.do(
        "terraform",
        folder,
        "init",
        "-input=false",
        "-reconfigure",
        f"-backend-config=environments/{names.backend.name}",
    )
    shell.do("terraform", folder, "apply", *names.approval, f"-var-file=environments/{names.tfvars.name}")
    shell.do("terraform", folder, "providers", "lock", "-platform=linux_amd64", "-platform=darwin_arm64")
