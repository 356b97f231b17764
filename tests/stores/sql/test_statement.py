"""The statement of every shape of query, word for word.

After a change on purpose: `python -m tests.stores.sql.test_statement` writes the golden files anew.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlglot
from sqlglot import exp

from app.query.request.filters import parse_filters
from app.query.request.scan import WITHOUT_CANARIES
from app.query.request.stats import COUNT, DELAY
from app.runtime.instants import TimeRange
from app.schema.columns import Kind
from app.schema.filters import filter_table
from app.stores.query import (
    Condition,
    Count,
    Deletion,
    Keys,
    LookUp,
    Metric,
    Occurrences,
    Position,
    Query,
    Rows,
    Scalar,
    Statistics,
)
from app.stores.sql.statement import Statement, render, render_instants, render_look_up
from tests.contract.readings import SUBJECT
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
_NUMBERS = parse_filters(SUBJECT.fields, [("source.in", "a,b"), ("site.floor.isnull", "false")])
_ID = Condition("id", (), "eq", Kind.STRING, ("x",))
_PROJECTED = ("id", "delivery_key", "ingest_time")
_METRICS = (
    Metric("p95:price", "p95", "price", Kind.NUMERIC),
    COUNT,
    Metric("avg:price", "avg", "price", Kind.NUMERIC),
    Metric("avg:number", "avg", "number"),
    Metric("min:site.floor", "min", "site.floor"),
    Metric("max:site.floor", "max", "site.floor"),
    Metric("p50:level", "p50", "level", Kind.FLOAT64),
    Metric("sum:number", "sum", "number"),
    Metric("sum:price", "sum", "price", Kind.NUMERIC),
    Metric("count_distinct:source", "count_distinct", "source", Kind.STRING),
)
_DELAYS = (
    Metric("p95:delay", "p95", DELAY, Kind.FLOAT64, is_computed=True),
    Metric("max:level", "max", "level", Kind.FLOAT64),
    Metric("avg:delay", "avg", DELAY, Kind.FLOAT64, is_computed=True),
)
_COLUMNS = {table.name: tuple(column.name for column in table.columns) for table in (RECORDS, REJECTS)}
_AFTER = Position(T0_US, "a")
_RANGE: dict[str, Any] = {"table": "records", "within": TimeRange(T0_US, T0_US + 10)}
_ORIGINALS: dict[str, Any] = {**_RANGE, "lookback_us": 900}
_PAGE = Rows(**_ORIGINALS, columns=_COLUMNS["records"], limit=5)
_LOOK_UP = LookUp(**_ORIGINALS, columns=_COLUMNS["records"], id_column="id", record_id="x", limit=5)
_EXPORT = Rows(**_ORIGINALS, columns=("id", "ingest_time"))
_STATS = Statistics(**_ORIGINALS, first_us=T0_US, bucket_us=10, max_groups=50)
_changed = msgspec.structs.replace
SHAPES: dict[str, Query | Deletion] = {
    "records_asc_first": _PAGE,
    "records_asc_after": _changed(_PAGE, after=_AFTER),
    "records_desc_first": _changed(_PAGE, descending=True),
    "records_desc_after": _changed(_PAGE, descending=True, after=_AFTER),
    "records_filtered": _changed(_PAGE, after=_AFTER, conditions=CONDITIONS),
    "records_projected": _changed(_PAGE, columns=_PROJECTED, conditions=_NONE_THERE),
    "records_without_canaries": _changed(_PAGE, conditions=(WITHOUT_CANARIES,)),
    "records_look_up": _LOOK_UP,
    "records_look_up_filtered": _changed(_LOOK_UP, conditions=_NONE_THERE),
    "rejects_asc_after": _changed(_PAGE, table=REJECTS.name, columns=_COLUMNS[REJECTS.name], after=_AFTER),
    "export_asc_first": _EXPORT,
    "export_marked": _changed(_EXPORT, marks_copies=True, limit=10),
    "export_marked_without_look_back": _changed(_EXPORT, marks_copies=True, lookback_us=0, descending=True),
    "export_count": Count(**_ORIGINALS),
    "export_count_after": Count(**_ORIGINALS, descending=True, after=_AFTER, conditions=CONDITIONS),
    "stats_count": _STATS,
    "stats_count_by": _changed(_STATS, by="source", metrics=(COUNT,)),
    "stats_delay": _changed(_STATS, metrics=_DELAYS),
    "stats_delay_of_a_field": _changed(_STATS, metrics=(Metric("p95:delay", "p95", DELAY, Kind.INT64),)),
    "stats_all_by_nested": _changed(_STATS, by="site.floor", metrics=_METRICS, conditions=_NUMBERS),
    "keys_prefix": Keys(**_RANGE, conditions=(Condition("delivery_key", (), "prefix", Kind.STRING, ("backfill/",)),)),
    "keys_in": Keys(**_RANGE, conditions=(Condition("delivery_key", (), "in", Kind.STRING, ("a", "b")),)),
    "erase_occurrences": Occurrences(table="records", conditions=(_ID,)),
    "erase_deletion": Deletion(table="records", first_us=T0_US, last_us=T0_US + 10, conditions=(_ID,)),
}
STATEMENTS = {shape: render(query) for shape, query in SHAPES.items()} | {
    "look_up_instants": render_instants(_LOOK_UP, is_cheap=True),
    "look_up_at_instants": render_look_up(_LOOK_UP, instants=[T0_US + 5, T0_US]),
}
TREES = {shape: sqlglot.parse_one(statement.sql, read="bigquery") for shape, statement in STATEMENTS.items()}


@pytest.mark.parametrize("shape", STATEMENTS)
def test_the_text_is_the_golden_one(shape: str) -> None:
    """A change of a query shows as a change of its golden file."""
    assert STATEMENTS[shape].sql == (GOLDEN / f"{shape}.sql").read_text(encoding="utf-8")


def test_every_golden_file_is_of_a_shape() -> None:
    """No file outlives its query."""
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(STATEMENTS)


@pytest.mark.parametrize("shape", STATEMENTS)
def test_every_parameter_of_the_text_is_given_and_no_other(shape: str) -> None:
    """BigQuery refuses a statement with a parameter too few, DuckDB one with a parameter too many."""
    assert {node.name for node in TREES[shape].find_all(exp.Parameter)} == set(STATEMENTS[shape].parameters)


def test_a_plan_shows_instants_as_instants() -> None:
    """A number of microseconds that is no instant stays a number."""
    given: dict[str, Scalar] = {"from_us": T0_US, "flag_us": True, "lookback_micros": 900, "raw": b"\xff"}
    plan = Statement(sql="SELECT 1", parameters=given).plan(5)
    assert (plan.text, plan.estimated_bytes) == ("SELECT 1", 5)
    shown = {"from_us": "2023-11-14T22:13:20Z", "flag_us": True, "lookback_micros": 900, "raw": b"\xff"}
    assert plan.parameters == shown


@pytest.mark.parametrize("shape", STATEMENTS)
def test_every_scan_of_a_table_is_bounded_in_time_and_names_its_columns(shape: str) -> None:
    """Partitions are pruned by plain comparisons with parameters, and nobody reads columns by `*`."""
    tree = TREES[shape]
    assert not [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    scans = [table for table in tree.find_all(exp.Table) if table.name in {RECORDS.name, REJECTS.name}]
    looks_back = shape.startswith(("records_asc", "records_desc", "rejects", "export")) and "look_back" not in shape
    looks_back = looks_back and not isinstance(SHAPES[shape], Count)
    assert len(scans) == 2 if looks_back else scans
    for scan in scans:
        select = scan.find_ancestor(exp.Select, exp.Delete)
        assert select is not None
        bounds = {
            (type(each), each.expression.name)
            for each in select.args["where"].this.flatten()
            if isinstance(each, exp.GTE | exp.LT | exp.LTE)
            and isinstance(each.expression, exp.Parameter)
            and (each.this.table, each.this.name) == (scan.alias, "ingest_time")
        }
        is_lookback = scan.alias in {"earlier", ""} and shape == "export_marked"
        is_lookback = is_lookback or scan.alias == "earlier" or "look_up" in shape or "stats" in shape
        assert (exp.GTE, "lookback_from_us" if is_lookback else "from_us") in bounds
        assert (exp.LTE if "erase" in shape else exp.LT, "to_us") in bounds


@pytest.mark.parametrize("shape", STATEMENTS)
def test_qualify_stands_beside_a_where(shape: str) -> None:
    """Some of BigQuery's analysers refuse QUALIFY without WHERE, GROUP BY or HAVING in the same block."""
    blocks = [select for select in TREES[shape].find_all(exp.Select) if select.args.get("qualify")]
    none = shape.startswith(("erase", "keys")) or shape.endswith(("without_look_back", "up_instants"))
    assert bool(blocks) is not none
    assert all(select.args.get("where") for select in blocks)


@pytest.mark.parametrize(
    ("shape", "expression"),
    [
        ("stats_delay", '(EPOCH_US(original."ingest_time") - EPOCH_US(original."publish_time")) / 1000000'),
        ("stats_count", '(EPOCH_US(original."ingest_time") - $first_micros) // $bucket_micros'),
    ],
)
def test_a_difference_keeps_its_parentheses_in_the_embedded_store(shape: str, expression: str) -> None:
    """SQLGlot leaves them out where a difference is divided without its own, and every bucket would be wrong."""
    assert expression in sqlglot.transpile(STATEMENTS[shape].sql, read="bigquery", write="duckdb")[0]


if __name__ == "__main__":
    for name, written in STATEMENTS.items():
        (GOLDEN / f"{name}.sql").write_text(written.sql, encoding="utf-8")
