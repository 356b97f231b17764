"""The maps in the docstrings of packages leave nothing out."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("bench/**/__init__.py"))


@pytest.mark.parametrize(
    "package",
    [
        *("app", "app/health", "app/http", "app/ingest", "app/query", "app/query/tail", "app/runtime"),
        *("app/settings", "app/stores", "app/stores/bigquery", "app/stores/duckdb", "app/telemetry", *ROOMS),
    ],
)
def test_every_module_is_on_the_map(package: str) -> None:
    """A package's docstring names each of its modules and packages."""
    folder = ROOT / package
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    words = set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in told).split())
    assert names - words - {"__init__", "__main__"} == set()
