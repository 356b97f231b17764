from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from app.schema.columns import Mode, flat
from app.schema.table import records_table
from app.stores.bigquery.table_layout import Difference, differences
from tests.long_form import examples
from tests.schema.values import Field, field_lists, struct_of
from tests.table_server import resource_of


class _Money(msgspec.Struct, forbid_unknown_fields=True):
    amount: Decimal
    currency: str | None = None


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    count: int
    total: Decimal
    note: str | None = None
    tags: list[str] = []
    paid: _Money | None = None
    parts: list[_Money] = []


ORDERS = records_table(_Order)
_OTHER_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
Edit = Callable[[dict[str, Any]], Any]


def _fields(resource: dict[str, Any], path: str) -> tuple[list[dict[str, Any]], int]:
    """Return the list that holds the column at `path`, and its place there."""
    holder: dict[str, Any] = resource["schema"]
    for name in path.split("."):
        fields = holder["fields"]
        (place,) = (place for place, field in enumerate(fields) if field["name"] == name)
        holder = fields[place]
    return fields, place


def _set(path: str, **members: Any) -> Edit:
    def edit(resource: dict[str, Any]) -> None:
        fields, place = _fields(resource, path)
        fields[place].update(members)

    return edit


def _drop(path: str) -> Edit:
    def edit(resource: dict[str, Any]) -> None:
        fields, place = _fields(resource, path)
        del fields[place]

    return edit


def _add(within: str = "", **members: Any) -> Edit:
    def edit(resource: dict[str, Any]) -> None:
        holder = resource["schema"]
        if within:
            fields, place = _fields(resource, within)
            holder = fields[place]
        holder["fields"].append({"name": "extra", "type": "STRING", **members})

    return edit


def _replace(**members: Any) -> Edit:
    return lambda resource: resource.update(members)


def _without(member: str) -> Edit:
    return lambda resource: resource.pop(member)


def _found(edit: Edit) -> list[Difference]:
    resource = resource_of(ORDERS)
    edit(resource)
    return differences(ORDERS, resource)


BREAKING = [
    (
        _set("count", type="FLOAT"),
        "count",
        "FLOAT64 in the table but INT64 in the record type, which cannot be changed",
    ),
    (_set("parts.amount", type="FLOAT"), "parts.amount", "parts.amount is FLOAT64"),
    (_set("note", mode="REQUIRED"), "note", "REQUIRED in the table but NULLABLE in the record type: relax it"),
    (_set("note", mode="REPEATED"), "note", "REPEATED in the table but NULLABLE in the record type, which cannot"),
    (_set("tags", mode="NULLABLE"), "tags", "NULLABLE in the table but REPEATED in the record type, which cannot"),
    (_set("note", maxLength="10"), "note", "STRING(10) in the table"),
    (_set("total", precision="10", scale="2"), "total", "NUMERIC(10, 2) in the table"),
    (_add(mode="REQUIRED"), "extra", "no row would have a value for it: declare it, or relax it to NULLABLE"),
    (_without("timePartitioning"), "partitioning", "requires partitions by HOUR of ingest_time"),
    (_replace(timePartitioning={"type": "DAY", "field": "ingest_time"}), "partitioning", "recreate the table"),
    (_replace(timePartitioning={"type": "HOUR"}), "partitioning", "recreate the table"),
    (_replace(type="VIEW"), "table", "has the type VIEW, which does not allow appends"),
]
TOLERATED: list[Edit] = [
    _add(mode="NULLABLE"),
    _add("parts", mode="NULLABLE"),
    _add(mode="REQUIRED", defaultValueExpression="'x'"),
    _set("count", mode="NULLABLE"),
    _set("total", type="BIGNUMERIC"),
    _without("requirePartitionFilter"),
    _without("clustering"),
    _set("note", description="by somebody else"),
    _set("note", name="NOTE"),
    _set("paid.amount", name="Amount"),
    _replace(timePartitioning={"type": "HOUR", "field": "ingest_time", "expirationMs": "86400000"}),
    _replace(
        requirePartitionFilter=None,
        timePartitioning={"type": "HOUR", "field": "Ingest_Time", "requirePartitionFilter": True},
    ),
    _without("type"),
    lambda resource: resource["schema"]["fields"].reverse(),
]


@pytest.mark.parametrize(("edit", "path", "words"), BREAKING)
def test_a_difference_is_found(edit: Edit, path: str, words: str) -> None:
    """One change of the table is one difference, which says where, what, and whether appends stop for it."""
    (difference,) = _found(edit)
    assert (difference.path, difference.effect) == (path, "breaks")
    assert words in difference.sentence
    assert difference.sentence.endswith(".")
    assert "\n" not in difference.sentence


@pytest.mark.parametrize("edit", TOLERATED)
def test_what_does_not_matter_is_no_difference(edit: Edit) -> None:
    """Columns of others, a wider type, descriptions, the order of columns and the case of names, say."""
    assert _found(edit) == []


def _as_others_write_it(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write a schema with GoogleSQL's names, lower-case modes, and none where it is NULLABLE."""
    written = []
    for field in fields:
        other = {**field, "type": _OTHER_NAMES.get(field["type"], field["type"]).lower(), "name": field["name"].upper()}
        other["mode"] = None if field["mode"] == "NULLABLE" else field["mode"].lower()
        if "fields" in field:
            other["fields"] = _as_others_write_it(field["fields"])
        written.append(other)
    return written


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(field_lists(), st.data())
def test_any_declaration_fits_its_own_table_and_no_other(fields: list[Field], data: st.DataObject) -> None:
    """A table made as declared fits, however its schema is written; without any one column it does not."""
    table = records_table(struct_of("Declared", fields))
    resource = resource_of(table)
    assert differences(table, resource) == []
    resource["schema"]["fields"] = _as_others_write_it(resource["schema"]["fields"])
    assert differences(table, resource) == []

    path, column = data.draw(st.sampled_from(flat(table.columns)))
    resource = resource_of(table)
    _drop(path)(resource)
    (difference,) = differences(table, resource)
    breaks = column.mode is Mode.REQUIRED or column not in table.record
    assert (difference.path, difference.effect) == (path, "breaks" if breaks else "pending")
    assert ("REQUIRED column" in difference.sentence) is (column.mode is Mode.REQUIRED)
