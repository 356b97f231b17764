"""The steps on GitHub: the environment, and the variables that the workflows read."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sluice.ops.install.google import BOOTSTRAP, state_file
from sluice.ops.install.names import TERRAFORM, Names
from sluice.ops.install.shell import InstallError, Shell

FROM_TERRAFORM = {
    "PROJECT": "project",
    "REGION": "region",
    "SERVICE": "service_name",
    "INGEST_SERVICE": "ingest_service_name",
    "IMAGE_REPOSITORY": "image_repository",
    "DEPLOY_IDENTITY": "deploy_identity",
    "API_AUDIENCE": "api_audience",
}
"""Variable of the environment -> output of infra/terraform; one that is missing or empty is not set."""
FROM_BOOTSTRAP = {"APPLY_IDENTITY": "apply_identity", "WORKLOAD_IDENTITY_PROVIDER": "workload_identity_provider"}
"""Variable of the environment -> output of bootstrap/."""
OF_REPOSITORY = {"PLAN_IDENTITY": "plan_identity", "WORKLOAD_IDENTITY_PROVIDER": "workload_identity_provider"}
"""Variable of the repository, without the environment's suffix -> output of bootstrap/."""
ENVIRONMENTS = "ENVIRONMENTS"


def create_environment(names: Names, shell: Shell) -> None:
    """Create the GitHub environment, to which only its branch may deploy."""
    place = f"repos/{names.repository}/environments/{names.environment}"
    reviewers = [
        {"type": "User", "id": int(shell.ask("gh", "api", f"users/{name}", "--jq", ".id", expected="0"))}
        for name in names.reviewers
    ]
    body: dict[str, Any] = {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}}
    if reviewers:
        body["reviewers"] = reviewers
    given = msgspec.json.encode(body).decode()
    shell.do("gh", "api", "--silent", "--method", "PUT", place, "--input", "-", given=given)
    policies = f"{place}/deployment-branch-policies"
    if names.branch not in shell.ask("gh", "api", policies, "--jq", ".branch_policies[].name").splitlines():
        shell.do("gh", "api", "--silent", policies, "-f", f"name={names.branch}")


def set_variables(names: Names, shell: Shell) -> None:
    """Set what the workflows read; none of it is secret. The list of environments comes last: it wakes them."""
    main = _outputs(shell, f"-chdir={TERRAFORM}", "output", "-json")
    first = _outputs(shell, f"-chdir={BOOTSTRAP}", "output", f"-state={state_file(names)}", "-json")
    for variable, output in FROM_TERRAFORM.items():
        if shell.is_plan or main.get(output):
            _set(names, shell, variable, main.get(output, f"OUTPUT_{output}"), "--env", names.environment)
        elif output != "ingest_service_name":
            raise InstallError(f"Terraform has no output {output}: run this again after an apply")
    for variable, output in FROM_BOOTSTRAP.items():
        _set(names, shell, variable, first.get(output, f"OUTPUT_{output}"), "--env", names.environment)
    for variable, output in OF_REPOSITORY.items():
        _set(names, shell, f"{variable}_{names.environment.upper()}", first.get(output, f"OUTPUT_{output}"))
    awake = environments(names, shell)
    if names.environment not in awake:
        _set(names, shell, ENVIRONMENTS, msgspec.json.encode([*awake, names.environment]).decode())


def environments(names: Names, shell: Shell) -> list[str]:
    """Return the environments that the workflows serve."""
    answer = shell.ask("gh", "variable", "list", "--repo", names.repository, "--json", "name,value", expected="[]")
    values = {each["name"]: each["value"] for each in msgspec.json.decode(answer)}
    listed_names: list[str] = msgspec.json.decode(values.get(ENVIRONMENTS) or "[]")
    return listed_names


def _set(names: Names, shell: Shell, variable: str, value: str, *where: str) -> None:
    shell.do("gh", "variable", "set", variable, "--repo", names.repository, *where, "--body", value)


def _outputs(shell: Shell, *command: str) -> Mapping[str, str]:
    outputs = msgspec.json.decode(shell.ask("terraform", *command, expected="{}"))
    return {name: str(each["value"]) for name, each in outputs.items()}
