"""`sluice install`: the steps in order, from the first that is not done."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from sluice.ops.install.github import create_environment, set_variables
from sluice.ops.install.google import bootstrap, enable_apis, first_apply, preflight, write_numbers
from sluice.ops.install.names import BRANCHES, Names, read_decisions
from sluice.ops.install.rollout import deploy_first_image, remove_samples, turn_pushes_on
from sluice.ops.install.shell import InstallError, PlanShell, RealShell, Shell
from sluice.ops.install.state import StateFile


class Step(msgspec.Struct, frozen=True):
    """One step: what it is called, what it is for, and what it does."""

    name: str
    about: str
    run: Callable[[Names, Shell], None]


STEPS = (
    Step("apis", "enable the APIs that Terraform begins with", enable_apis),
    Step("numbers", "write the numbers of the project and the repository into the environment's files", write_numbers),
    Step("preflight-before", "ask Google whether this can work", preflight("before")),
    Step("bootstrap", "create the state's bucket, and the access of GitHub's workflows", bootstrap),
    Step("first-apply", "create everything else; Pub/Sub does not push yet", first_apply),
    Step("github-environment", "create the GitHub environment, for its branch only", create_environment),
    Step("github-variables", "set the variables that the workflows read", set_variables),
    Step("first-image", "commit, push, and wait for the first deployment", deploy_first_image),
    Step("samples", "delete the revisions of Google's sample", remove_samples),
    Step("pushes", "let Pub/Sub push; the canary and the alert on the backlog begin", turn_pushes_on),
    Step("preflight-after", "ask Google whether it does work", preflight("after")),
)


def add_names(parser: argparse.ArgumentParser) -> None:
    """Add the options that install and destroy share."""
    parser.add_argument("--environment", default="dev", choices=sorted(BRANCHES), help="default: %(default)s")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub (default: that of this clone)")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="let Terraform ask nothing (-auto-approve)")
    parser.add_argument("--root", type=Path, default=Path(), help="the project or clone (default: the working folder)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_names(parser)
    parser.add_argument("--branch", help="that is deployed here (default: develop, staging or main)")
    parser.add_argument("--reviewer", action="append", default=[], metavar="USER", help="approves deployments")
    parser.add_argument("--from", dest="start", choices=[step.name for step in STEPS], help="repeat from this step on")
    parser.add_argument(
        "--endpoint", action="append", default=[], metavar="HOST=URL", help="passed on to the preflight"
    )


def run(args: argparse.Namespace) -> int:
    """Do the steps; return 1 if one could not be completed."""
    try:
        shell: Shell = PlanShell() if args.plan else RealShell(args.root)
        names = names_of(args, shell)
        return install(names, shell, StateFile(args.root, args.environment), args.start)
    except InstallError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1


def names_of(args: argparse.Namespace, shell: Shell) -> Names:
    """Return the names of the installation. Raises InstallError if something is not decided yet."""
    decided = read_decisions(args.root, args.environment)
    repository = args.repository or shell.ask(
        *("gh", "repo", "view", "--json", "nameWithOwner", "--jq", ".nameWithOwner"), expected="OWNER/NAME"
    )
    return Names(
        environment=args.environment,
        branch=getattr(args, "branch", None) or BRANCHES[args.environment],
        project=decided.project,
        region=decided.region,
        system=decided.system,
        services=decided.services,
        repository=repository,
        reviewers=tuple(getattr(args, "reviewer", ())),
        endpoints=tuple(getattr(args, "endpoint", ())),
        is_approved=args.yes,
    )


def install(names: Names, shell: Shell, file: StateFile, start: str | None) -> int:
    """Do the steps that are not done; return 0. Raises InstallError if one could not be completed."""
    state = file.read(names.project, names.repository) if not shell.is_plan else None
    order = [step.name for step in STEPS]
    done = set(state.done) if state is not None else set()
    if start is not None:
        done -= set(order[order.index(start) :])
    for number, step in enumerate(STEPS, start=1):
        title = f"{number}/{len(STEPS)} {step.name}: {step.about}"
        if state is not None and step.name in done:
            print(f"{title} (done {state.done[step.name]})")
            continue
        print(title, flush=True)
        try:
            step.run(names, shell)
        except InstallError as error:
            resume = f"The step `{step.name}` is not done; run the same command to resume"
            raise InstallError(f"{error}\n{resume}") from error
        if state is not None:
            file.record(state, step.name)
    print("nothing was changed" if shell.is_plan else "installed; docs/deploy.md, section 3, sends the first message")
    return 0
