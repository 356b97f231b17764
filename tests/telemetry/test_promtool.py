"""promtool is what tests/promtool.py names, or is not run."""

import io
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.outcomes import Failed, OutcomeException

from tests import promtool


@pytest.fixture
def _nothing_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.promtool.platform.machine", lambda: "x86_64")


def answering(answer: bytes | Exception) -> Callable[..., Any]:
    """Return an `urlopen` that gives these bytes, or fails."""

    def opened(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    return opened


@pytest.mark.usefixtures("_nothing_on_path")
@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"another package", "is not the package"), (OSError("no network"), "cannot be fetched")],
)
def test_another_package_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: bytes | Exception, words: str
) -> None:
    """Nothing is left in the cache, so the next run tries again."""
    monkeypatch.setattr(urllib.request, "urlopen", answering(answer))
    with pytest.raises(promtool.UnavailableError, match=words):
        promtool.installed(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("_nothing_on_path")
def test_a_machine_without_a_package_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason is in the summary of the tests."""
    monkeypatch.setattr("tests.promtool.platform.machine", lambda: "riscv64")
    with pytest.raises(promtool.UnavailableError, match="does not run here"):
        promtool.installed(tmp_path)


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
