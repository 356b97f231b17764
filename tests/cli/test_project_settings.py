"""What a project's pyproject.toml sets."""

import os
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli.project_settings import ProjectSettingsError, project_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("[tool.other]\nx = 1", {}),
        ('[tool.sluice]\nrecord = "orders:Order"', {"SLUICE_RECORD": "orders:Order"}),
        (
            "[tool.sluice]\nretention_days = 30\nsettle_s = 1.5",
            {"SLUICE_RETENTION_DAYS": "30", "SLUICE_SETTLE_S": "1.5"},
        ),
        ("[tool.sluice]\nid_index = true", {"SLUICE_ID_INDEX": "true"}),
        ('[tool.sluice]\nroles = ["ingest", "query"]', {"SLUICE_ROLES": "ingest,query"}),
    ],
)
def test_each_entry_is_a_setting(text: str, expected: dict[str, str], tmp_path: Path) -> None:
    """By its name, in the form that the environment has."""
    (tmp_path / "pyproject.toml").write_text(text)
    assert project_settings(tmp_path) == expected


def test_a_folder_without_the_file_sets_nothing(tmp_path: Path) -> None:
    """Most folders are no projects."""
    assert project_settings(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.sluice", "pyproject.toml: "),
        ("[tool]\nsluice = 3", r"\[tool.sluice\] must be a table"),
        ("[tool.sluice]\nrecord = {}", r"\[tool.sluice\] record: expected a text"),
        ("[tool.sluice]\nroles = [1]", r"\[tool.sluice\] roles: expected a text"),
    ],
)
def test_what_cannot_be_a_setting_is_named(text: str, said: str, tmp_path: Path) -> None:
    """With the file, the table and the entry."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ProjectSettingsError, match=said):
        project_settings(tmp_path)


def test_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong file stops the command before it does anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    (tmp_path / "pyproject.toml").write_text('[tool.sluice]\nrecord = "a:A"\nbackend = "embedded"')
    environ = {"SLUICE_RECORD": "b:B"}
    main(["serve"], environ)
    assert environ == {"SLUICE_RECORD": "b:B", "SLUICE_BACKEND": "embedded"}
    (tmp_path / "pyproject.toml").write_text("[tool.sluice]\nrecord = {}")
    assert main(["serve"], {}) == 2
    assert capsys.readouterr().err.startswith("sluice: pyproject.toml: ")
