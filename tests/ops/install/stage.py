"""A clone, its origin, and a world that stand-ins play; and the installer as a process that can be killed."""

import marshal
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from sluice.ops.install.command import install
from sluice.ops.install.names import Names
from sluice.ops.install.shell import InstallError, RealShell
from sluice.ops.install.state import StateFile

ROOT = Path(__file__).parent.parent.parent.parent
# Starting an interpreter for each of a hundred runs would take minutes. A fork of the tests' own process may hang or
# crash while other threads are inside gRPC. This server has imported the installer, and has no threads.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
STAND_IN = Path(__file__).with_name("stand_in.py")
WORLD: dict[str, Any] = {
    "calls": [],
    "apis": [],
    "bucket": False,
    "objects": {},
    "applied": False,
    "protected": True,
    "samples": [],
    "deployed": False,
    "pushes": False,
    "lost": False,
    "variables": {},
    "environment": {},
    "branches": [],
    "runs": {},
    "failing_runs": 0,
}
NAMES = Names(
    environment="dev",
    branch="develop",
    project="acme-sluice-dev",
    region="europe-west1",
    system="sluice",
    services=("sluice",),
    repository="acme/sluice",
    is_approved=True,
    preflight=("preflight",),
)


class Stage(msgspec.Struct):
    """The folders."""

    folder: Path

    @property
    def root(self) -> Path:
        """The clone."""
        return self.folder / "clone"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the installer: stand-ins on PATH, and little else."""
        git = shutil.which("git") or "git"
        settings = {"GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        return {
            **settings,
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "STAND_IN_WORLD": str(self.folder / "world"),
            "STAND_IN_GIT": git,
        }

    def world(self) -> dict[str, Any]:
        """Return the world as it is."""
        found: dict[str, Any] = marshal.loads((self.folder / "world").read_bytes())  # noqa: S302 - this test's own file
        return found

    def change(self, **members: Any) -> None:
        """Change the world."""
        (self.folder / "world").write_bytes(marshal.dumps(self.world() | members))

    def outcome(self) -> dict[str, Any]:
        """Return what came of it, without how often was asked."""
        world = {name: value for name, value in self.world().items() if name not in {"calls", "runs"}}
        world["subjects"] = self.git("log", "--format=%s", "origin/develop").splitlines()
        world["files"] = self.git("show", "--stat=200", "--format=", "origin/develop~1", "origin/develop")
        return world

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        run = [shutil.which("git") or "git", *arguments]
        return subprocess.run(run, cwd=self.root, env=self.environ, capture_output=True, text=True, check=True).stdout

    def install(self, at: int = 0, mode: str = "kill") -> int:
        """Install in a process of its own; return its exit status, negative if it was killed."""
        child = FORKS.Process(target=self._install_and_exit, args=(at, mode))
        child.start()
        child.join()
        status = child.exitcode
        child.close()
        assert status is not None
        return status

    def _install_and_exit(self, at: int, mode: str) -> None:
        status = 70
        try:
            os.environ.clear()
            os.environ.update(self.environ | {"STAND_IN_AT": str(at), "STAND_IN_MODE": mode})
            null = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(null, 1)
            os.dup2(null, 2)
            install(NAMES, RealShell(self.root), StateFile(self.root, "dev"), None)
            status = 0
        except InstallError:
            status = 1
        finally:
            os._exit(status)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `python -m sluice` as a person does."""
        run = [sys.executable, "-m", "sluice", *arguments, "--root", str(self.root)]
        environ = self.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(run, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def new_stage(folder: Path) -> Stage:
    """Make a clone with the files that an installation reads, its origin, and the stand-ins."""
    stage = Stage(folder)
    (folder / "bin").mkdir(parents=True)
    for name in ("terraform", "gcloud", "gh", "git", "preflight"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{STAND_IN}" {name} "$@"\n')
        program.chmod(0o755)
    (folder / "gitconfig").write_text(
        "[user]\n\tname = Ann\n\temail = ann@acme.test\n[init]\n\tdefaultBranch = develop\n"
    )
    (folder / "world").write_bytes(marshal.dumps(WORLD))
    terraform = stage.root / "infra" / "terraform"
    shutil.copytree(ROOT / "infra" / "terraform" / "environments", terraform / "environments")
    (terraform / "bootstrap").mkdir()
    shutil.copy(ROOT / ".gitignore", stage.root)
    decided = terraform / "environments" / "dev.tfvars"
    decided.write_text(decided.read_text().replace("my-company", "acme").replace("example.com", "acme.test"))
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "origin")], env=stage.environ, check=True)
    stage.git("init", "--quiet")
    stage.git("remote", "add", "origin", str(folder / "origin"))
    stage.git("add", ".")
    stage.git("commit", "--quiet", "-m", "Begin")
    stage.change(calls=[])
    return stage
