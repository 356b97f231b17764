"""What a person decided: the names in the files of an environment, and who deploys from where."""

import re
import sys
from pathlib import Path

import msgspec

from sluice.local.reasons import reason
from sluice.ops.install.shell import InstallError

TERRAFORM = Path("infra") / "terraform"
BRANCHES = {"dev": "develop", "staging": "staging", "prod": "main"}
_PLACEHOLDERS = ("my-company", "example.com")
_OWNERLESS = "github.com/OWNER/sluice"
"""As `sluice new` writes it where it does not know the account that publishes Sluice."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The names of one installation. `is_approved`: Terraform asks nothing."""

    environment: str
    branch: str
    project: str
    region: str
    system: str
    services: tuple[str, ...]
    repository: str
    reviewers: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    is_approved: bool = False
    preflight: tuple[str, ...] = (sys.executable, "-P", "-m", "sluice.ops.preflight")

    @property
    def tfvars(self) -> Path:
        """The variables of the environment."""
        return TERRAFORM / "environments" / f"{self.environment}.tfvars"

    @property
    def bootstrap_tfvars(self) -> Path:
        """The variables of its bootstrap."""
        return TERRAFORM / "environments" / f"{self.environment}.bootstrap.tfvars"

    @property
    def backend(self) -> Path:
        """Where its Terraform keeps its state."""
        return TERRAFORM / "environments" / f"{self.environment}.backend.hcl"

    @property
    def approval(self) -> tuple[str, ...]:
        """Options of `terraform apply`."""
        return ("-input=false", "-auto-approve") if self.is_approved else ()


def value_of(text: str, name: str, default: str = "") -> str:
    """Return a string of a tfvars file; what is indented belongs to another variable."""
    assignment = re.search(rf'^{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return assignment[1] if assignment else default


def with_value(text: str, name: str, value: str) -> str:
    """Return a file with another value of `name`, which is a text or `true`; a missing one is added at the end."""
    line = re.compile(rf'^({name}\s*=\s*)("[^"]*"|\w+)', re.MULTILINE)
    if not line.search(text):
        return f"{text.rstrip()}\n{name} = {value}\n"
    return line.sub(lambda assignment: f"{assignment[1]}{value}", text, count=1)


class Decisions(msgspec.Struct, frozen=True):
    """The names in the variables of an environment; `services` are those of Cloud Run."""

    project: str
    region: str
    system: str
    services: tuple[str, ...]


def read_decisions(root: Path, environment: str) -> Decisions:
    """Return the names from the environment's variables.

    Raises:
        InstallError: the file is missing, or still has the placeholders of the repository.
    """
    path = root / TERRAFORM / "environments" / f"{environment}.tfvars"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InstallError(
            f"{reason(error)}: run this in a project's folder, or a clone, and choose an --environment that it has"
        ) from error
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    if left := [placeholder for placeholder in _PLACEHOLDERS if placeholder in code]:
        raise InstallError(
            f"{path} still has {' and '.join(left)}: decide project_id, region, location, on_call and operations_url "
            "first (docs/deploy.md, section 1)"
        )
    used = path.parent.parent / "main.tf"
    for file in (path, used):
        if file.exists() and _OWNERLESS in file.read_text(encoding="utf-8"):
            raise InstallError(
                f"{file} lacks the account that publishes Sluice: run `sluice upgrade --owner NAME`, and commit"
            )
    system = value_of(code, "system", "sluice")
    services = (system, f"{system}-ingest") if value_of(code, "services") == "two" else (system,)
    return Decisions(value_of(code, "project_id"), value_of(code, "region"), system, services)
