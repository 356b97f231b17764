"""`sluice new`: the files of a project."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from app.schema.filters import checked_table
from app.stores.bigquery.table_layout import bigquery_schema
from app.version import VERSION
from sluice.__main__ import main
from sluice.cli.new.origin import PLACEHOLDER, Origin, origin_of
from sluice.cli.new.project import project_files
from tests.test_terraform import simulated

ROOT = Path(__file__).parent.parent.parent
ORIGIN = Origin(requirement="sluice @ git+https://github.com/shop/sluice@v0.1.0", owner="shop", ref="v0.1.0")
FILES = {str(path): text for path, text in project_files("orders", ORIGIN)}


def test_nothing_is_left_to_fill_in() -> None:
    """Each name of the template is replaced, and hidden files have their own names."""
    assert not [path for path, text in FILES.items() if re.search(r"__[A-Z]+__", text)]
    assert {".gitignore", ".dockerignore", ".github/workflows/deploy.yml"} <= set(FILES)
    assert "__pycache__" not in "".join(FILES)


def test_the_table_for_terraform_is_that_of_the_type() -> None:
    """As `sluice schema bigquery` prints it; ci.yml of a project compares them. So are the simulated records of dev."""
    names: dict[str, object] = {}
    exec(compile(FILES["orders.py"], "orders.py", "exec"), names)  # noqa: S102 - our own template
    order = names["Order"]
    assert isinstance(order, type)
    assert json.loads(FILES["infra/terraform/table.schema.json"]) == bigquery_schema(checked_table(order))
    published = simulated(FILES["infra/terraform/environments/dev.tfvars"])
    assert len(msgspec.json.decode(published, type=list[order])) > 1  # type: ignore[valid-type] # made above


@pytest.mark.parametrize(
    ("recorded", "requirement", "owner", "ref"),
    [
        ({}, f"sluice @ git+https://github.com/OWNER/sluice@v{VERSION}", PLACEHOLDER, f"v{VERSION}"),
        (
            {
                "url": "https://github.com/shop/sluice.git",
                "vcs_info": {"vcs": "git", "requested_revision": f"v{VERSION}", "commit_id": "c" * 40},
            },
            f"sluice @ git+https://github.com/shop/sluice.git@v{VERSION}",
            "shop",
            f"v{VERSION}",
        ),
        (
            {"url": "https://github.com/shop/sluice", "vcs_info": {"vcs": "git", "commit_id": "c" * 40}},
            f"sluice @ git+https://github.com/shop/sluice@{'c' * 40}",
            "shop",
            "c" * 40,
        ),
    ],
    ids=["index", "tag", "commit"],
)
def test_a_project_names_the_sluice_that_made_it(
    recorded: dict[str, object], requirement: str, owner: str, ref: str
) -> None:
    """As the installer recorded it."""
    assert origin_of(recorded, "") == Origin(requirement=requirement, owner=owner, ref=ref)


NOBODY = Origin(requirement="sluice @ file:///home/ann/sluice", owner=PLACEHOLDER, ref=f"v{VERSION}")


def test_a_project_without_an_owner_gets_one_by_the_documented_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are then those of a project whose owner was given; another version changes every mention."""
    monkeypatch.setattr("sluice.cli.new.command.installed_origin", lambda _: NOBODY)
    folder, other = tmp_path / "one" / "orders", tmp_path / "two" / "orders"
    assert main(["new", str(folder)], {}) == 0
    assert "place of OWNER: make the project with --owner" in capsys.readouterr().out
    assert len(lacking_in(folder)) > 5
    monkeypatch.setattr("sluice.cli.new.command.installed_origin", lambda owner: origin_of(RECORDED, owner))
    assert main(["new", str(other), "--owner", "acme"], {}) == 0
    assert "OWNER" not in capsys.readouterr().out
    document = (ROOT / "docs" / "deploy.md").read_text()
    owner, upgrade = re.findall(r"^```sh\n(grep -rl .*?)^```", document, re.MULTILINE | re.DOTALL)
    subprocess.run(["sh", "-c", owner], check=True, cwd=folder)
    assert texts(folder) == texts(other)
    subprocess.run(["sh", "-c", upgrade], check=True, cwd=folder)
    assert sum("1.2.3" in text for text in texts(folder).values()) == 10
    assert not any(VERSION in text for text in texts(folder).values())


RECORDED = {"url": "file:///home/ann/sluice", "dir_info": {}}


def texts(folder: Path) -> dict[str, str]:
    """Return every file of a project."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def lacking_in(folder: Path) -> list[Path]:
    """Return the files of a project that have a placeholder, or a path of this machine."""
    return [path for path in folder.rglob("*") if path.is_file() and re.search("OWNER/|file:", path.read_text())]


def test_a_folder_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then a second one is refused in its place."""
    folder = tmp_path / "orders"
    assert main(["new", str(folder), "--owner", "shop"], {}) == 0
    assert "sluice up" in capsys.readouterr().out
    assert tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["sluice"]["record"] == "orders:Order"
    assert main(["new", str(folder)], {}) == 2
    assert "exists already, and is not an empty folder" in capsys.readouterr().err
