"""The gate: what it compares with what, and that it can fail."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.base import base_of, program_of
from bench.gate import CASES, Costs, ratio, slower_cases
from bench.ingest.compare import FIRST, MANY
from bench.ingest.contenders import THIS
from bench.ingest.messages import Case
from bench.places import ROOT
from bench.usage import cpu_s


class Measurements:
    """The ratios that each measurement gives, by case; `cases` notes what was measured."""

    def __init__(self, *ratios: dict[Case, float]) -> None:
        self._ratios, self.cases = list(ratios), list[Sequence[Case]]()

    async def __call__(self, cases: Sequence[Case]) -> Costs:
        """Return two pairs of the next ratio."""
        self.cases.append(cases)
        ratios = self._ratios.pop(0)
        return {case: [(80.0 * ratios[case], 80.0)] * 2 for case in cases}


async def test_what_is_slower_each_time_fails() -> None:
    """The other case is not measured again."""
    measure = Measurements({FIRST: 1.04, MANY: 1.3}, {MANY: 1.06}, {MANY: 1.2})
    assert await slower_cases(measure) == [MANY]
    assert measure.cases == [CASES, [MANY], [MANY]]


async def test_what_is_slower_only_once_passes() -> None:
    """Noise does not strike the same way twice; then the gate ends."""
    measure = Measurements({FIRST: 1.2, MANY: 1.0}, {FIRST: 1.0})
    assert await slower_cases(measure) == []
    assert measure.cases == [CASES, [FIRST]]


def test_a_ratio_is_that_of_neighbouring_rounds() -> None:
    """A machine that is slower for a while is so for both of a pair; one disturbed round changes nothing."""
    assert ratio([(55.0, 50.0), (110.0, 100.0), (220.0, 200.0), (900.0, 60.0), (50.0, 100.0)]) == pytest.approx(1.1)


def test_processor_time_is_that_of_the_kernel() -> None:
    """Not in units of 10 ms, which would be a tenth of a round."""
    before_s, process_s, after_s = time.process_time(), cpu_s(os.getpid()), time.process_time()
    assert before_s <= process_s <= after_s


class Repository:
    """A repository on main, without commits at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        """Run git in it, and return what it prints."""
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        command = ["git", "-C", str(self.folder), *author, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str) -> str:
        """Commit whatever is there, and return the commit's id."""
        self.git("add", ".")
        self.git("commit", "--quiet", "--no-verify", "--allow-empty", f"--message={subject}")
        return self.git("rev-parse", "HEAD")

    def clone(self, folder: Path, *options: str) -> Path:
        """Clone it."""
        self.git("clone", "--quiet", *options, self.folder.as_uri(), str(folder))
        return folder


def test_a_branch_is_compared_with_the_commit_that_it_left_main_at(tmp_path: Path) -> None:
    """So with all of its commits, and without those of main since."""
    repository = Repository(tmp_path)
    fork = repository.commit("landed")
    repository.git("switch", "--quiet", "--create", "branch")
    repository.commit("first of the branch")
    repository.commit("second of the branch")
    assert base_of(tmp_path) == fork


def test_main_is_compared_with_its_parent(tmp_path: Path) -> None:
    """In a clone, too, whose main is where the origin's is."""
    origin = Repository(tmp_path / "origin")
    parent = origin.commit("parent")
    origin.commit("head")
    assert base_of(origin.folder) == parent
    assert base_of(origin.clone(tmp_path / "clone")) == parent


def test_the_commit_may_be_named(tmp_path: Path) -> None:
    """As anything that git knows."""
    repository = Repository(tmp_path)
    first = repository.commit("first")
    repository.commit("second")
    repository.commit("third")
    assert base_of(tmp_path, "HEAD~2") == base_of(tmp_path, first[:12]) == first


@pytest.mark.parametrize("name", [None, "nowhere"])
def test_a_clone_without_the_commit_says_what_to_do(tmp_path: Path, name: str | None) -> None:
    """A gate that compares with nothing must not pass."""
    origin = Repository(tmp_path / "origin")
    origin.commit("parent")
    origin.commit("head")
    with pytest.raises(SystemExit, match=f"no {name or 'parent of HEAD'}.*fetch-depth: 0.*BASE="):
        base_of(origin.clone(tmp_path / "clone", "--depth=1"), name)


def test_the_base_is_run_from_the_files_of_its_commit(tmp_path: Path) -> None:
    """With this Python, as it has the packages of this uv.lock; what is not committed does not count."""
    repository = Repository(tmp_path)
    (tmp_path / "uv.lock").write_text("packages")
    (tmp_path / "app.py").write_text("before")
    base = repository.commit("base")
    (tmp_path / "app.py").write_text("after")
    with program_of(tmp_path, base) as program:
        assert program.python == THIS.python
        assert (program.tree / "app.py").read_text() == "before"
    assert not program.tree.exists()
    assert THIS.tree == ROOT
