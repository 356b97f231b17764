"""Break infra/terraform in each way that its tests guard against, and see that they notice: `make terraform-mutations`.

A test that passes whatever the configuration says guards nothing. So each mutation is made in a copy, and the one run
of a test file that should notice is run by itself. It must fail by an assertion, not because the configuration is no
longer valid. First each of those runs must pass by itself.

With TFCHECK (infra/terraform/check.sh) this runs without network; otherwise terraform fetches Google's provider once.
`--inside ROOT` is how it goes on in the initialised copy.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.terraform import of_access, of_data, of_running, of_the_bootstrap, of_the_services, of_the_streams
from tests.terraform.mutation import FOLDER, Mutation

MUTATIONS = [
    *of_access.MUTATIONS,
    *of_data.MUTATIONS,
    *of_running.MUTATIONS,
    *of_the_bootstrap.MUTATIONS,
    *of_the_services.MUTATIONS,
    *of_the_streams.MUTATIONS,
]
REPOSITORY = FOLDER.parents[1]
_NOTICED = ("Test assertion failed", "Missing expected failure")


def main(arguments: Sequence[str]) -> int:
    """Run the mutations and return how many were not noticed, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.terraform.mutations", description=__doc__)
    parser.add_argument("--inside", metavar="ROOT", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="only mutations of files whose path has this in it")
    parser.add_argument("--run", default="", help="only mutations that a run with this in TEST/NAME should notice")
    options = parser.parse_args(arguments)
    if options.inside is not None:
        return _inside("" if options.inside == "." else options.inside, options.only, options.run)
    if not _chosen(options.only, options.run):
        parser.error(f"no mutation is of a file with {options.only!r} in its path and a run with {options.run!r}")
    if shutil.which("terraform") is None:
        sys.stderr.write("terraform-mutations: there is no terraform on PATH, and nothing was tried\n")
        return 1
    roots = sorted({each.root or "." for each in _chosen(options.only, options.run)})
    return max(_outside(root, options.only, options.run) for root in roots)


def _chosen(only: str, run: str) -> list[Mutation]:
    """Return the mutations of files with `only` in their path, for runs with `run` in TEST/NAME."""
    return [each for each in MUTATIONS if only in str(each.path) and run in f"{each.test}/{each.noticed_by}"]


def _outside(root: str, only: str, run: str) -> int:
    """Begin again in an initialised copy of the configuration."""
    command = [sys.executable, "-m", "tests.terraform.mutations", "--inside", root, "--only", only, "--run", run]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    checker = os.environ.get("TFCHECK")
    if checker:
        return subprocess.run([checker, str(FOLDER / root), "--", *command], env=environ, check=False).returncode
    with tempfile.TemporaryDirectory() as folder:
        copy = (
            Path(shutil.copytree(FOLDER, Path(folder) / "terraform", ignore=shutil.ignore_patterns(".terraform")))
            / root
        )
        subprocess.run(
            ["terraform", "init", "-backend=false", "-input=false"], cwd=copy, check=True, capture_output=True
        )
        return subprocess.run(command, cwd=copy, env=environ, check=False).returncode


def _inside(root: str, only: str, noticed_by: str) -> int:
    mutations = [each for each in _chosen(only, noticed_by) if each.root == root]
    passing = {run: _tested(*run) for run in sorted({(each.test, each.noticed_by) for each in mutations})}
    for (_, name), (status, output) in passing.items():
        if status:
            sys.stdout.write(f"{name} fails before anything is broken:\n{output}")
            return 1
    missed = [each for each in mutations if not _is_noticed(each)]
    sys.stdout.write(f"{len(mutations) - len(missed)} of {len(mutations)} mutations were noticed\n")
    return 1 if missed else 0


def _is_noticed(mutation: Mutation) -> bool:
    """Break the copy, run what should notice, and mend the copy."""
    path = Path(mutation.file)
    text = path.read_text()
    path.write_text(mutation.applied_to(text))
    try:
        status, output = _tested(mutation.test, mutation.noticed_by)
    finally:
        path.write_text(text)
    noticed = bool(status) and any(words in output for words in _NOTICED)
    change = f"{mutation.path}: {mutation.old.strip()!r} -> {mutation.new.strip()!r}"
    sys.stdout.write(f"{'noticed' if noticed else 'MISSED'}  {mutation.noticed_by}  {change}\n")
    if not noticed:
        sys.stdout.write(output)
    sys.stdout.flush()
    return noticed


def _tested(test: str, name: str) -> tuple[int, str]:
    """Run one run of a test file, after those before it that apply something; return the status and the output."""
    path = Path(f"tests/{test}.tftest.hcl")
    text = path.read_text()
    head, *runs = re.split(r"^(?=run )", text, flags=re.MULTILINE)
    index = next(place for place, run in enumerate(runs) if run.startswith(f'run "{name}" {{'))
    before = [run for run in runs[:index] if re.search(r"^  command +?= apply$", run, re.MULTILINE)]
    # Under its own name, by which `terraform init` knows the modules of its runs.
    path.write_text("".join([head, *before, runs[index]]))
    folder = str(path.parent)
    variables = ["-var-file=environments/prod.tfvars"] if folder != "tests" else []
    command = ["terraform", "test", "-no-color", f"-test-directory={folder}", f"-filter={path}", *variables]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        path.write_text(text)
    return run.returncode, run.stdout + run.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
