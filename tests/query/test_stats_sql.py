"""The SQL of statistics, word for word.

After a change on purpose: `python -m tests.query.test_stats_sql` writes the golden files anew.
"""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from app.query.params.catalogue import DELAY
from app.query.params.filters import parse_filters
from app.query.params.stats import COUNT, Metric
from app.query.sql.stats import stats_sql
from app.schema.columns import Kind
from tests.contract.readings import READINGS, SUBJECT

GOLDEN = Path(__file__).parent / "golden_stats"
_METRICS = (
    Metric("p95:price", "p95", "price", Kind.NUMERIC),
    COUNT,
    Metric("avg:price", "avg", "price", Kind.NUMERIC),
    Metric("avg:number", "avg", "number"),
    Metric("min:site.floor", "min", "site.floor"),
    Metric("max:site.floor", "max", "site.floor"),
    Metric("p50:level", "p50", "level", Kind.FLOAT64),
)
_CONDITIONS = parse_filters(SUBJECT.fields, [("source.in", "a,b"), ("site.floor.isnull", "false")])
SHAPES = {
    "count": stats_sql(READINGS),
    "count_by": stats_sql(READINGS, by="source", metrics=[COUNT]),
    "delay": stats_sql(
        READINGS,
        metrics=[
            Metric("p95:delay", "p95", DELAY, Kind.FLOAT64, is_computed=True),
            Metric("max:level", "max", "level", Kind.FLOAT64),
            Metric("avg:delay", "avg", DELAY, Kind.FLOAT64, is_computed=True),
        ],
    ),
    "delay_of_a_field": stats_sql(READINGS, metrics=[Metric("p95:delay", "p95", DELAY, Kind.INT64)]),
    "all_by_nested": stats_sql(READINGS, by="site.floor", metrics=_METRICS, conditions=_CONDITIONS),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_text_is_the_golden_one(shape: str) -> None:
    """A change of a query shows as a change of its golden file."""
    assert SHAPES[shape] == (GOLDEN / f"{shape}.sql").read_text(encoding="utf-8")


def test_every_golden_file_is_of_a_shape() -> None:
    """No file outlives its query."""
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_table_is_read_once_and_for_a_bounded_time(shape: str) -> None:
    """Partitions are pruned by plain comparisons with parameters, and nobody reads columns by `*`."""
    tree = sqlglot.parse_one(SHAPES[shape], read="bigquery")
    assert not [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    (scan,) = [table for table in tree.find_all(exp.Table) if table.name == READINGS.name]
    assert scan.parent_select is not None
    conjuncts = [part.sql("bigquery") for part in scan.parent_select.args["where"].this.flatten()]
    assert "`ingest_time` >= @lookback_from_us" in conjuncts
    assert "`ingest_time` < @to_us" in conjuncts


def test_only_the_columns_that_count_are_read() -> None:
    """Columns are what a query costs in BigQuery."""
    tree = sqlglot.parse_one(SHAPES["count_by"], read="bigquery")
    scan = next(tree.find_all(exp.CTE))
    assert {column.name for column in scan.find_all(exp.Column)} == {"ingest_time", "delivery_key", "source"}


def test_the_delay_keeps_its_parentheses_in_the_embedded_engine() -> None:
    """It is the difference that is divided, and not into whole seconds."""
    rendered = sqlglot.transpile(SHAPES["delay"], read="bigquery", write="duckdb")[0]
    assert '(EPOCH_US(original."ingest_time") - EPOCH_US(original."publish_time")) / 1000000' in rendered


def test_the_bucket_keeps_its_parentheses_in_the_embedded_engine() -> None:
    """SQLGlot leaves them out where a difference stands in DIV without its own, and every bucket would be wrong."""
    rendered = sqlglot.transpile(SHAPES["count"], read="bigquery", write="duckdb")[0]
    assert '(EPOCH_US(original."ingest_time") - $first_micros) // $bucket_micros' in rendered


if __name__ == "__main__":
    for name, text in SHAPES.items():
        (GOLDEN / f"{name}.sql").write_text(text, encoding="utf-8")
