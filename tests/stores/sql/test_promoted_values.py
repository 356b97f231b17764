"""What a promoted column reads from a rest, against the decoder of ingest: the same value, or the member stays."""

from functools import cache
from typing import Annotated, Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runtime.instants import TimeRange
from app.schema.columns import Kind
from app.schema.table import Table, records_table
from app.stores.duckdb.source import to_duckdb
from app.stores.duckdb.table_layout import converter, duckdb_ddl
from app.stores.query import Rows
from app.stores.sql.projection import source_of
from tests.long_form import examples
from tests.schema.values import JSON, SAMPLES
from tests.stores.promoted import promoted

_PROMOTED = msgspec.Meta(extra={"sluice": ["promoted"]})
_Rest = Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})]
_KINDS = {Kind.BOOL, Kind.INT64, Kind.FLOAT64, Kind.STRING, Kind.TIMESTAMP}
_PROMOTABLE = {name: each for name, each in SAMPLES.items() if each.kind in _KINDS and name != "uuid"}
VALUES: dict[str, Any] = {name: each.values for name, each in _PROMOTABLE.items()}
# By the field: notations that decoders disagree about. What ingest refuses must stay, and what it accepts may.
NOTATIONS: dict[str, list[str]] = {
    "bool": ["true", '"true"', "1", "null"],
    "int": ["9007199254740993", "-9223372036854775808", "9223372036854775808", "1.0", "1e2", '"1"', "true"],
    "float": ["1", "-0.0", '"NaN"', '"1"', "9007199254740993", "5e-324"],
    "str": ['"null"', '"\\"q\\""', "1", "{}"],
    "instant": [
        '"2026-01-31T12:00:00"',
        '"2026-01-31 12:00:00.5z"',
        '"2026-01-31t12:00:00-0230"',
        '"2026-01-31T12:00:00.1234567Z"',
        '"2026-02-30T12:00:00Z"',
        '"2026-01-31T12:00:60Z"',
        '"9999-12-31T23:59:59+00:00"',
        '"0001-01-01T00:00:00+01:00"',
        "1700000000",
    ],
}


@cache
def table_of(field: str) -> Table:
    """Return a table in which this field is promoted, without an envelope."""
    fields: list[Any] = [
        ("id", int),
        (field, Annotated[SAMPLES[field].annotation | None, _PROMOTED], None),
        ("rest", _Rest, {}),
    ]
    return msgspec.structs.replace(records_table(msgspec.defstruct("Kept", fields, kw_only=True)), envelope=())


def over_duckdb(table: Table, rests: list[bytes]) -> list[dict[str, Any]]:
    """Return rows whose columns are empty, as a query reads them."""
    names = tuple(column.name for column in table.columns)
    query = Rows(table=table.name, within=TimeRange(0, 1), lookback_us=0, columns=names)
    sql = f"SELECT * FROM {source_of(query, table)} ORDER BY `id`"  # noqa: S608 - names of a declaration
    with duckdb.connect() as connection:
        connection.execute("LOAD icu; SET TimeZone = 'UTC'")
        connection.execute(duckdb_ddl(table))
        rows = [(number, rest.decode()) for number, rest in enumerate(rests)]
        connection.executemany("INSERT INTO records (id, rest) VALUES (?, ?)", rows)
        found = connection.execute(to_duckdb(sql))
        columns = [(name, converter(type_) or (lambda value: value)) for name, type_, *_ in found.description]
        rows = found.fetchall()
    return [{name: read(value) for (name, read), value in zip(columns, row, strict=True)} for row in rows]


def by_ingest(table: Table, number: int, rest: bytes) -> dict[str, Any]:
    """Return the same of the decoder of ingest."""
    empty = dict.fromkeys(column.name for column in table.record)
    return plain(promoted(table, {**empty, "id": number, "rest": msgspec.Raw(rest)}))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its JSON decoded, so that notations do not matter."""
    return {name: msgspec.json.decode(each) if isinstance(each, msgspec.Raw) else each for name, each in row.items()}


def compared(field: str, texts: list[bytes]) -> list[bytes]:
    """Return the values that stay in the rest although ingest accepts them; all others must be read as by ingest."""
    rests = [b'{"%s":%s,"x":1}' % (field.encode(), text) for text in texts]
    table, kept = table_of(field), []
    for number, read in enumerate(over_duckdb(table, rests)):
        row, expected = plain(read), by_ingest(table, number, rests[number])
        if row != expected:
            assert (row["rest"], row[field]) == (msgspec.json.decode(rests[number]), None), texts[number]
            kept.append(texts[number])
    return kept


@pytest.mark.parametrize("field", VALUES)
def test_a_value_reads_as_ingest_would_have_stored_it(field: str) -> None:
    """Each type's own values, as msgspec writes them, and any other JSON; only instants far from Greenwich stay."""

    @settings(max_examples=examples(12), deadline=None)
    @given(st.lists(VALUES[field], min_size=4, max_size=12), st.lists(JSON, min_size=1, max_size=8))
    def law(values: list[Any], others: list[Any]) -> None:
        kept = compared(field, [msgspec.json.encode(value) for value in values])
        assert not kept or field.startswith("instant")
        compared(field, [msgspec.json.encode(value) for value in others])

    law()


@pytest.mark.parametrize("field", NOTATIONS)
def test_a_notation_is_read_as_by_ingest_or_stays(field: str) -> None:
    """What ingest refuses stays; the notations that it accepts and a store does not are few."""
    accepted = {b'"2026-01-31T12:00:00.1234567Z"'}
    assert set(compared(field, [text.encode() for text in NOTATIONS[field]])) <= accepted
