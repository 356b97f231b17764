"""The commit that a change is compared with: which one it is, its files, and the Python that runs it."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.ingest.contenders import Program

_MAIN = ("origin/main", "main")


def base_of(root: Path, name: str | None = None) -> str:
    """Return the commit to compare the working tree of `root` with: the last one that landed before it.

    It is the commit of that `name`, if one is given. On a branch, it is where the branch left main. On main itself git
    does not record what landed together, so it is the first parent of HEAD.

    Raises:
        SystemExit: there is no such commit in this clone.
    """
    if name:
        base = _commit(root, name)
    else:
        head, main = _commit(root, "HEAD"), next(filter(None, (_commit(root, main) for main in _MAIN)), None)
        fork = _git(root, "merge-base", "HEAD", main) if main else None
        base = fork if fork and fork != head else _commit(root, "HEAD~1")
    if base is None:
        raise SystemExit(
            f"nothing to compare with: this clone has no {name or 'parent of HEAD'}. If it is a shallow one, run "
            "`git fetch --unshallow` (actions/checkout: `fetch-depth: 0`); BASE=COMMIT names another one"
        )
    return base


def subject_of(root: Path, commit: str) -> str:
    """Return the short id and the subject of a commit."""
    return _git(root, "show", "--no-patch", "--format=%h %s", commit) or commit


@contextmanager
def program_of(root: Path, commit: str) -> Iterator[Program]:
    """Provide the service of a commit until the block ends, with the packages of its uv.lock, on this Python.

    Raises:
        SystemExit: its packages cannot be installed.
    """
    archive = subprocess.run(["git", "-C", root, "archive", "--format=tar", commit], stdout=subprocess.PIPE, check=True)
    with TemporaryDirectory(prefix="base-") as folder:
        tree = Path(folder)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(tree, filter="data")
        is_locked_alike = (tree / "uv.lock").read_bytes() == (root / "uv.lock").read_bytes()
        yield Program(sys.executable if is_locked_alike else _install(root, tree), tree)


def _install(root: Path, tree: Path) -> str:
    uv = subprocess.run(["sh", root / "bootstrap.sh", "--uv"], stdout=subprocess.PIPE, check=True, text=True)
    options = ["--quiet", "--locked", "--all-extras", "--no-default-groups", "--no-install-project"]
    sync = [uv.stdout.strip(), "sync", *options, "--python", sys.executable, "--project", str(tree)]
    if subprocess.run(sync, cwd=tree, check=False).returncode:
        raise SystemExit("the packages of the commit to compare with could not be installed: see above")
    return str(tree / ".venv" / "bin" / "python")


def _commit(root: Path, name: str) -> str | None:
    return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def _git(root: Path, *words: str) -> str | None:
    ended = subprocess.run(["git", "-C", root, *words], stdout=subprocess.PIPE, check=False, text=True)
    return ended.stdout.strip() or None
