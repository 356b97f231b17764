"""The SQL of exports, word for word.

After a change on purpose: `python -m tests.query.test_export_sql` writes the golden files anew.
"""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from app.query.sql.exports import buckets_sql, count_sql, export_sql
from tests.query.test_sql import CONDITIONS

GOLDEN = Path(__file__).parent / "golden_exports"
_SOME = ["id", "ingest_time"]
SHAPES = {
    "asc_first": export_sql("records", _SOME, descending=False, after=False),
    "asc_after_filtered": export_sql("records", _SOME, descending=False, after=True, conditions=CONDITIONS),
    "desc_after": export_sql("records", _SOME, descending=True, after=True),
    "count": count_sql("records", descending=False, after=False, capped=False),
    "count_capped": count_sql("records", descending=True, after=True, capped=True, conditions=CONDITIONS),
    "buckets": buckets_sql("records", descending=False, after=False),
    "buckets_filtered": buckets_sql("records", descending=True, after=True, conditions=CONDITIONS),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_text_is_the_golden_one(shape: str) -> None:
    """A change of a query shows as a change of its golden file."""
    assert SHAPES[shape] == (GOLDEN / f"{shape}.sql").read_text(encoding="utf-8")


def test_every_golden_file_is_of_a_shape() -> None:
    """No file outlives its query."""
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_scan_is_bounded_in_time(shape: str) -> None:
    """Partitions are pruned by plain comparisons with parameters, and nobody reads columns by `*`."""
    tree = sqlglot.parse_one(SHAPES[shape], read="bigquery")
    for table in tree.find_all(exp.Table):
        select = table.find_ancestor(exp.Select)
        assert select is not None
        name = table.alias
        bounds = {
            (type(each), each.expression.name)
            for each in select.args["where"].find_all(exp.GTE, exp.LT)
            if isinstance(each.expression, exp.Parameter) and (each.this.table, each.this.name) == (name, "ingest_time")
        }
        assert (exp.LT, "to_us") in bounds
        assert (exp.GTE, "lookback_from_us" if name == "earlier" else "from_us") in bounds
    assert not [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]


def _write() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for shape, sql in SHAPES.items():
        (GOLDEN / f"{shape}.sql").write_text(sql, encoding="utf-8")


if __name__ == "__main__":
    _write()
