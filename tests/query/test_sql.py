"""The SQL of every query shape, word for word, and that the embedded engine runs it.

After a change on purpose: `python -m tests.query.test_sql` writes the golden files anew.
"""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from app.query.params.filters import parse_filters
from app.query.params.heartbeats import EXCLUDED
from app.query.sql.conditions import condition_parameters
from app.query.sql.originals import look_up_sql
from app.query.sql.pages import page_sql
from app.schema.filters import filter_table
from app.stores.source import Query, Scalar
from tests.contract.shelf import Put, Shelf
from tests.contract.stores import RECORDS, REJECTS, T0_US

GOLDEN = Path(__file__).parent / "golden"
# One of each operator, and of each kind of comparison in JSON.
CONDITIONS = parse_filters(
    filter_table(RECORDS),
    [
        ("id.prefix", "x"),
        ("source.ne", "a"),
        ("ordering_key.isnull", "true"),
        ("timestamp.gte", "2026-01-01T00:00:00Z"),
        ("message_id.in", "1,2"),
        ("data.items.0.price.gt", "5"),
        ("data.name", "x"),
        ("attributes.isnull", "false"),
    ],
)
_NONE_THERE = parse_filters(filter_table(RECORDS), [("id", "x"), ("source.isnull", "true"), ("data.a.ne", "x")])
_SOME = ["id", "delivery_key", "ingest_time"]
SHAPES = {
    "records_asc_first": page_sql(RECORDS, descending=False, after=False),
    "records_asc_after": page_sql(RECORDS, descending=False, after=True),
    "records_desc_first": page_sql(RECORDS, descending=True, after=False),
    "records_desc_after": page_sql(RECORDS, descending=True, after=True),
    "records_filtered": page_sql(RECORDS, descending=False, after=True, conditions=CONDITIONS),
    "records_projected": page_sql(RECORDS, descending=False, after=False, columns=_SOME, conditions=_NONE_THERE),
    "records_without_heartbeats": page_sql(RECORDS, descending=False, after=False, conditions=EXCLUDED.conditions),
    "records_look_up": look_up_sql(RECORDS, "id"),
    "records_look_up_filtered": look_up_sql(RECORDS, "id", _NONE_THERE),
    "rejects_asc_after": page_sql(REJECTS, descending=False, after=True),
}
_BOUND = {
    "records_filtered": CONDITIONS,
    "records_projected": _NONE_THERE,
    "records_without_heartbeats": EXCLUDED.conditions,
    "records_look_up_filtered": _NONE_THERE,
}
_KEYS: dict[str, list[str]] = {
    "records_asc_first": ["a", "b"],
    "records_asc_after": ["b"],
    "records_desc_first": ["b", "a"],
    "records_desc_after": [],
    "records_filtered": [],
    "records_projected": ["a", "b"],
    "records_without_heartbeats": ["a", "b"],
    "records_look_up": ["b", "a"],
    "records_look_up_filtered": ["b", "a"],
    "rejects_asc_after": [],
}
_PARAMETERS: dict[str, Scalar] = {
    "from_us": T0_US,
    "to_us": T0_US + 10,
    "lookback_from_us": T0_US - 900,
    "lookback_micros": 900,
    "candidates": 5,
    "row_limit": 5,
    "after_us": T0_US,
    "after_key": "a",
    "id": "x",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_text_is_the_golden_one(shape: str) -> None:
    """A change of a query shows as a change of its golden file."""
    assert SHAPES[shape] == (GOLDEN / f"{shape}.sql").read_text(encoding="utf-8")


def test_every_golden_file_is_of_a_shape() -> None:
    """No file outlives its query."""
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_embedded_engine_runs_it(shelf: Shelf, shape: str) -> None:
    """Rendered for DuckDB and with its parameters bound, each query gives the rows after the given place."""
    shelf.put([Put(T0_US, "a"), Put(T0_US + 1, "b")])
    parameters = {name: value for name, value in _PARAMETERS.items() if f"@{name}" in SHAPES[shape]}
    query = Query(sql=SHAPES[shape], parameters=parameters | condition_parameters(_BOUND.get(shape, ())))
    rows = shelf.run(shelf.store.runner.rows(query)).rows
    if "count" in shape:
        assert rows == [{"records": 2}]
    else:
        assert [row["delivery_key"] for row in rows] == _KEYS[shape]


@pytest.mark.parametrize("shape", _BOUND)
def test_every_condition_has_its_parameters(shape: str) -> None:
    """Those of the text, and no others."""
    named = {node.name for node in sqlglot.parse_one(SHAPES[shape], read="bigquery").find_all(exp.Parameter)}
    assert named - set(_PARAMETERS) == set(condition_parameters(_BOUND[shape]))


def test_a_page_reads_no_column_that_it_neither_serves_nor_compares() -> None:
    """Fewer columns are fewer bytes."""
    tree = sqlglot.parse_one(SHAPES["records_projected"], read="bigquery")
    read = {column.name for column in tree.find_all(exp.Column)}
    assert read - {"_sluice_is_copy", "_sluice_candidates"} == {*_SOME, "source", "data"}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_scan_of_a_table_is_bounded_in_time_and_names_its_columns(shape: str) -> None:
    """Partitions are pruned by plain comparisons with parameters, and nobody reads columns by `*`."""
    tree = sqlglot.parse_one(SHAPES[shape], read="bigquery")
    assert not [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    scans = [table for table in tree.find_all(exp.Table) if table.name in {RECORDS.name, REJECTS.name}]
    assert len(scans) == (1 if "look_up" in shape or "count" in shape else 2)
    for scan in scans:
        select = scan.parent_select
        assert select is not None
        conjuncts = [part.sql("bigquery") for part in select.args["where"].this.flatten()]
        prefix = f"{scan.alias}." if scan.alias else ""
        assert any(part.startswith(f"{prefix}`ingest_time` >= @") for part in conjuncts), conjuncts
        assert any(part.startswith(f"{prefix}`ingest_time` < @") for part in conjuncts), conjuncts


@pytest.mark.parametrize("shape", SHAPES)
def test_qualify_stands_beside_a_where(shape: str) -> None:
    """Some of BigQuery's analysers refuse QUALIFY without WHERE, GROUP BY or HAVING in the same block."""
    tree = sqlglot.parse_one(SHAPES[shape], read="bigquery")
    blocks = [select for select in tree.find_all(exp.Select) if select.args.get("qualify")]
    assert blocks
    assert all(select.args.get("where") for select in blocks)


if __name__ == "__main__":
    for name, text in SHAPES.items():
        (GOLDEN / f"{name}.sql").write_text(text, encoding="utf-8")
