from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import HealthCheck, given, settings

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table, records_table
from app.stores.bigquery.proto_rows import protobuf_descriptor
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.duckdb.table_layout import duckdb_ddl, duckdb_type, hash_column, quote
from tests.long_form import examples
from tests.schema.values import Field, field_lists, struct_of

# https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
_BIGQUERY_TYPES = {
    Kind.BOOL: "BOOLEAN",
    Kind.INT64: "INTEGER",
    Kind.FLOAT64: "FLOAT",
    Kind.NUMERIC: "NUMERIC",
    Kind.STRING: "STRING",
    Kind.BYTES: "BYTES",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.JSON: "JSON",
    Kind.STRUCT: "RECORD",
}
# What the Storage Write API takes for each (https://cloud.google.com/bigquery/docs/supported-data-types).
_PROTOBUF_TYPES = {
    Kind.BOOL: FieldDescriptor.TYPE_BOOL,
    Kind.INT64: FieldDescriptor.TYPE_INT64,
    Kind.FLOAT64: FieldDescriptor.TYPE_DOUBLE,
    Kind.NUMERIC: FieldDescriptor.TYPE_STRING,
    Kind.STRING: FieldDescriptor.TYPE_STRING,
    Kind.BYTES: FieldDescriptor.TYPE_BYTES,
    Kind.TIMESTAMP: FieldDescriptor.TYPE_INT64,
    Kind.DATE: FieldDescriptor.TYPE_INT32,
    Kind.TIME: FieldDescriptor.TYPE_STRING,
    Kind.JSON: FieldDescriptor.TYPE_STRING,
    Kind.STRUCT: FieldDescriptor.TYPE_MESSAGE,
}


def assert_bigquery_agrees(fields: list[dict[str, Any]], columns: tuple[Column, ...]) -> None:
    """Check that BigQuery's fields are the columns, at every depth, in the form the documentation gives."""
    assert [field["name"] for field in fields] == [column.name for column in columns]
    for field, column in zip(fields, columns, strict=True):
        assert set(field) <= {"name", "type", "mode", "description", "fields"}
        assert field["type"] == _BIGQUERY_TYPES[column.kind]
        assert field["mode"] == column.mode.value
        assert ("fields" in field) is (column.kind is Kind.STRUCT)
        assert_bigquery_agrees(field.get("fields", []), column.fields)


def compiled(table: Table) -> Descriptor:
    """Compile the table's descriptor as a file of its own, as the Storage Write API's server does."""
    pool = DescriptorPool()
    file = FileDescriptorProto(name="row.proto", package="row", syntax="proto2")
    file.message_type.append(protobuf_descriptor(table))
    pool.Add(file)
    return pool.FindMessageTypeByName("row.Row")


def assert_protobuf_agrees(message: Descriptor, columns: tuple[Column, ...]) -> None:
    """Check that a message's fields are the columns, at every depth, numbered from 1."""
    assert [(field.name, field.number) for field in message.fields] == [
        (column.name, number) for number, column in enumerate(columns, start=1)
    ]
    for field, column in zip(message.fields, columns, strict=True):
        assert field.type == _PROTOBUF_TYPES[column.kind]
        assert field.is_repeated is (column.mode is Mode.REPEATED)
        assert field.is_required is (column.mode is Mode.REQUIRED)
        if column.kind is Kind.STRUCT:
            assert field.message_type is not None
            assert field.message_type.containing_type is message
            assert_protobuf_agrees(field.message_type, column.fields)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database without tables."""
    with duckdb.connect(":memory:") as opened:
        yield opened


def assert_duckdb_agrees(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Run the table's DDL and check the columns that the database then has."""
    connection.execute(f"DROP TABLE IF EXISTS {quote(table.name)}")
    connection.execute(duckdb_ddl(table))
    found = connection.execute(f"DESCRIBE {quote(table.name)}").fetchall()
    assert [(name, type_, null) for name, type_, null, *_ in found] == [
        (column.name, str(connection.type(duckdb_type(column))), "NO" if column.mode is Mode.REQUIRED else "YES")
        for column in table.columns
    ] + [(hash_column(table), "UINTEGER", "YES")] * (table.id is not None)


def assert_all_agree(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Check that the three stores' tables have the columns, of documented types and modes."""
    assert_bigquery_agrees(bigquery_schema(table), table.columns)
    assert_protobuf_agrees(compiled(table), table.columns)
    assert_duckdb_agrees(connection, table)


@settings(deadline=None, max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow])
@given(field_lists())
def test_all_derivations_of_any_declaration_agree(connection: duckdb.DuckDBPyConnection, fields: list[Field]) -> None:
    """However a declaration nests, the three tables derived from it have the same columns."""
    assert_all_agree(connection, records_table(struct_of("Drawn", fields)))
