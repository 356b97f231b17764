"""How `make mutants` reads and judges mutmut's results, and whether its list of modules is true and can be run."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.mutants.__main__ import ENVIRONMENT, PYTEST
from tests.mutants.plan import EQUIVALENT, MODULES, Equivalent
from tests.mutants.report import Mutant, details, diffs, judge, statuses, table

ROOT = Path(__file__).parents[2]
RESULTS = """
    app.query.cursor.x_encode__mutmut_1: killed
    app.query.cursor.x_encode__mutmut_2: survived
    app.query.cursor.xǁCursorǁtext__mutmut_1: timeout
    app.query.cursor.xǁCursorǁtext__mutmut_2: no tests
"""
DIFF = """# app.query.cursor.x_encode__mutmut_2: survived
--- app/query/cursor.py
+++ app/query/cursor.py
@@ -1,3 +1,3 @@
 def encode(cursor):
-    return a + b
+    return a - b
"""
SAME = Equivalent("encode", "return a + b", "return a - b", "b is 0")


def mutants() -> list[Mutant]:
    """Return the mutants of RESULTS."""
    shown = diffs(DIFF + DIFF.replace("x_encode__mutmut_2", "xǁCursorǁtext__mutmut_2"))
    assert len(shown) == 2
    return [msgspec.structs.replace(each, diff=shown.get(each.name, "")) for each in statuses(RESULTS)]


def test_what_no_test_noticed_survived() -> None:
    """That includes what no test runs."""
    verdict = judge("cursor", mutants(), ())
    assert (verdict.killed, verdict.timed_out, [each.name[-8:] for each in verdict.survivors]) == (
        1,
        1,
        ["mutmut_2", "mutmut_2"],
    )
    assert (verdict.percent, verdict.passes) == (50.0, False)
    assert "-    return a + b\n+    return a - b" in details(verdict)
    timed = msgspec.structs.replace(verdict, seconds=61.6)
    assert table([timed]).splitlines()[1].split() == ["cursor", "4", "1", "1", "2", "0", "50.0", "62"]


def test_an_equivalent_mutant_does_not_count() -> None:
    """By exactly its function and its lines."""
    verdict = judge("cursor", mutants(), [SAME])
    assert (len(verdict.survivors), verdict.equivalent, round(verdict.percent, 1)) == (1, 1, 66.7)
    for wrong in (SAME._replace(function="decode"), SAME._replace(added="return a * b")):
        assert judge("cursor", mutants(), [wrong]).equivalent == 0


def test_a_list_of_equivalent_mutants_that_is_not_true_fails() -> None:
    """Else it would hide a mutant that comes later."""
    sound = [Mutant("app.query.cursor.x_encode__mutmut_1", "killed")]
    assert judge("cursor", sound, ()).passes
    verdict = judge("cursor", sound, [SAME])
    assert (verdict.percent, verdict.passes) == (100.0, False)
    assert "no such mutant survived" in details(verdict)
    assert not judge("cursor", [], ()).passes, "nothing was mutated"


@pytest.mark.parametrize("name", MODULES)
def test_each_module_has_tests_of_its_own(name: str) -> None:
    """A pattern that matches nothing would let mutmut run everything."""
    module = MODULES[name]
    assert (ROOT / module.source).is_file()
    assert all([*ROOT.glob(pattern)] for pattern in module.tests)


def test_an_equivalent_mutant_is_that_of_a_line_that_is_there() -> None:
    """With the reason why no test can tell."""
    assert set(EQUIVALENT) <= set(MODULES)
    for name, known in EQUIVALENT.items():
        source = (ROOT / MODULES[name].source).read_text()
        for each in known:
            assert each.reason
            assert all(line in source for line in each.removed.splitlines())


def test_the_tests_are_collected_with_no_other_plugins() -> None:
    """What tests/conftest.py asks of a plugin, it must not ask of one that mutmut's runs leave out."""
    files = [str(path) for module in MODULES.values() for pattern in module.tests for path in ROOT.glob(pattern)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *PYTEST, *files]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
