import json
from pathlib import Path

import pytest

from app.schema.table import Table
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from tests.cli.schema_command import main

ROOT = Path(__file__).resolve().parents[2]
_GOLDEN = Path(__file__).parent / "golden"
_REFRESH = "it changed: look at the difference, and if it is meant, write the new output there with `sluice schema"
_FILES = [
    ("bigquery", _GOLDEN / "bigquery.json", False),
    ("proto", _GOLDEN / "proto.json", False),
    ("duckdb", _GOLDEN / "duckdb.sql", False),
    ("jsonschema", _GOLDEN / "jsonschema.json", False),
    ("filters", _GOLDEN / "filters.json", False),
    ("duckdb", _GOLDEN / "rejects.sql", True),
    ("bigquery", ROOT / "infra/terraform/table.schema.json", False),
    ("bigquery", ROOT / "infra/terraform/rejects.schema.json", True),
]


@pytest.mark.parametrize(("derivation", "file", "rejects"), _FILES, ids=lambda value: getattr(value, "name", None))
def test_a_committed_derivation_is_the_current_one(
    derivation: str, file: Path, *, rejects: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is committed of the default record's derivations is what the code derives now."""
    option = ["--rejects"] if rejects else []
    assert main([*option, derivation]) == 0
    assert capsys.readouterr().out == file.read_text(encoding="utf-8"), (
        f"{file.relative_to(ROOT)}: {_REFRESH} {' '.join([*option, derivation])}`"
    )


@pytest.mark.parametrize("table", [instances_table(), erasures_table()], ids=lambda table: table.name)
def test_terraform_has_the_columns_of_the_services_own_tables(table: Table) -> None:
    """Those that no record type declares."""
    committed = ROOT / f"infra/terraform/{table.name.lstrip('_')}.schema.json"
    assert json.loads(committed.read_text(encoding="utf-8")) == bigquery_schema(table)


def test_every_golden_file_is_compared() -> None:
    """No golden file is left behind unread."""
    assert sorted(_GOLDEN.iterdir()) == sorted(file for _, file, _ in _FILES if file.parent == _GOLDEN)
