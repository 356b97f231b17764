"""`sluice destroy`: delete everything that Terraform created, with every record."""

import argparse
import sys

import msgspec

from sluice.ops.install.command import add_names, names_of
from sluice.ops.install.github import ENVIRONMENTS, environments
from sluice.ops.install.names import TERRAFORM, Names
from sluice.ops.install.shell import InstallError, PlanShell, RealShell, Shell
from sluice.ops.install.state import StateFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_names(parser)
    parser.add_argument("--confirm", metavar="PROJECT", help="the project's id, instead of typing it")


def run(args: argparse.Namespace) -> int:
    """Destroy; return 1 if it was not confirmed or could not be completed."""
    try:
        shell: Shell = PlanShell() if args.plan else RealShell(args.root)
        names = names_of(args, shell)
        if not args.plan and not _is_confirmed(names, args.confirm):
            print("nothing was deleted", file=sys.stderr)
            return 1
        destroy(names, shell)
    except InstallError as error:
        print(f"stopped: {error}\nrun the same command to resume", file=sys.stderr)
        return 1
    if not args.plan:
        StateFile(args.root, args.environment).path.unlink(missing_ok=True)
        print(
            f"deleted; the bucket {names.project}-terraform and GitHub's access remain until "
            f"`gcloud projects delete {names.project}`"
        )
    return 0


def destroy(names: Names, shell: Shell) -> None:
    """Stop the workflows first, or a push would create everything again; then lift the protection, and destroy."""
    awake = environments(names, shell)
    if shell.is_plan or names.environment in awake:
        rest = msgspec.json.encode([each for each in awake if each != names.environment]).decode()
        shell.do("gh", "variable", "set", ENVIRONMENTS, "--repo", names.repository, "--body", rest)
    folder, variables = f"-chdir={TERRAFORM}", f"-var-file=environments/{names.tfvars.name}"
    shell.do(
        "terraform",
        folder,
        "init",
        "-input=false",
        "-reconfigure",
        f"-backend-config=environments/{names.backend.name}",
    )
    for command in ("apply", "destroy"):
        shell.do("terraform", folder, command, *names.approval, variables, "-var=deletion_protection=false")


def _is_confirmed(names: Names, given: str | None) -> bool:
    print(f"This deletes every record and every message of {names.system} in {names.project}.")
    try:
        typed = given if given is not None else input("Type the project's id to continue: ")
    except EOFError:
        return False
    return typed.strip() == names.project
