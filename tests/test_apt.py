"""Programs of the distribution come from PATH or from its packages, or their tests say why they are skipped."""

from pathlib import Path
from types import ModuleType

import pytest
from _pytest.outcomes import Failed, Skipped

from tests import promtool
from tests.page import program as page_program
from tests.support.chromium import program as chromium


@pytest.mark.parametrize("uses", [(promtool, promtool), (page_program, chromium)], ids=["promtool", "chromium"])
@pytest.mark.parametrize(
    ("apt", "words"),
    [
        ("echo 'E: Temporary failure resolving' >&2; exit 100", "cannot fetch {}: E: Temporary failure"),
        ("exit 0", "apt has no package {}"),
        (None, "there is no apt"),
    ],
    ids=["no network", "no package", "no apt"],
)
def test_a_machine_without_the_package_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uses: tuple[ModuleType, ModuleType], apt: str | None, words: str
) -> None:
    """The CI fails where a laptop skips. Nothing is left in the cache, so the next run tries again."""
    tests, program = uses
    path, cache = tmp_path / "bin", tmp_path / "cache" / "program"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(program, "CACHE", cache)
    if apt is not None:
        (path / "apt-get").write_text(f"#!/bin/sh\n{apt}\n")
        (path / "apt-get").chmod(0o755)
    for required, outcome in (("", Skipped), ("1", Failed)):
        monkeypatch.setenv(tests.REQUIRED, required)
        with pytest.raises(outcome, match=words.format(program.PACKAGE)):
            tests.program()
        assert not cache.exists()
