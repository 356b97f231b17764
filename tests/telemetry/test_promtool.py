"""promtool comes from PATH or from the distribution's package, or its tests say why they are skipped."""

from pathlib import Path

import pytest
from _pytest.outcomes import Failed, OutcomeException

from tests import promtool


def program(folder: Path, name: str, script: str) -> None:
    """Put a shell script on the path of these tests."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("apt", "words"),
    [
        ("echo 'E: Temporary failure resolving' >&2; exit 100", "cannot fetch prometheus: E: Temporary failure"),
        ("exit 0", "apt has no package prometheus"),
        (None, "there is no apt"),
    ],
    ids=["no network", "no package", "no apt"],
)
def test_a_machine_without_the_package_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apt: str | None, words: str
) -> None:
    """Nothing is left in the cache, so the next run tries again."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if apt is not None:
        program(tmp_path, "apt-get", apt)
    with pytest.raises(promtool.UnavailableError, match=words):
        promtool.installed(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("required", ["", "1"])
def test_where_it_is_required_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    """The CI fails where a laptop skips."""

    def missing() -> Path:
        raise promtool.UnavailableError("there is none")

    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(promtool.REQUIRED, required)
    monkeypatch.setattr("tests.promtool.installed", missing)
    with pytest.raises(OutcomeException) as raised:
        promtool.promtool()
    assert isinstance(raised.value, Failed) == bool(required)
    assert "there is none" in str(raised.value)
