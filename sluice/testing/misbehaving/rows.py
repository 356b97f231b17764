"""Read rows with the writer schema that travelled with them, and keep the stored ones."""

from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from app.stores.bigquery.watermarks import INSTANCES

Row = dict[str, Any]


class RowReader:
    """Reads serialised rows of one writer schema."""

    def __init__(self, writer_schema: DescriptorProto) -> None:
        file = FileDescriptorProto(name="writer.proto", package="writer", syntax="proto2")
        file.message_type.add().CopyFrom(writer_schema)
        pool = DescriptorPool()
        pool.Add(file)
        self._message = GetMessageClass(pool.FindMessageTypeByName(f"writer.{writer_schema.name}"))

    def read(self, row: bytes) -> Row:
        """Return the row's columns that are set.

        Raises:
            ValueError: the bytes are not a whole row of the schema.
        """
        try:
            message = self._message.FromString(row)
        except DecodeError as error:
            raise ValueError(f"not a row of the writer schema: {error}") from error
        if not message.IsInitialized():
            raise ValueError("a row without a required column")
        if len(UnknownFieldSet(message)):
            raise ValueError("a field that the writer schema does not have")
        return {field.name: value for field, value in message.ListFields()}


def fields_of(schema: DescriptorProto, prefix: str = "") -> set[str]:
    """Return the dotted paths of the fields of a writer schema, at every depth."""
    nested = {each.name: each for each in schema.nested_type}
    paths: set[str] = set()
    for field in schema.field:
        paths.add(prefix + field.name)
        if field.type_name in nested:
            paths |= fields_of(nested[field.type_name], f"{prefix}{field.name}.")
    return paths


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that became durable as one, and when."""

    table: str
    rows: tuple[Row, ...]
    commit_us: int


class Shelf:
    """The stored rows, in the order in which it became durable."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []

    def rows(self, table: str | None = None) -> list[Row]:
        """Return the rows of a table, in order; by default those of all but the table of watermarks."""
        commits = [each for each in self.commits if (each.table == table if table else each.table != INSTANCES)]
        return [row for commit in commits for row in commit.rows]

    def ids(self, table: str | None = None) -> list[str]:
        """Return the rows' ids, in order, as often as they are stored."""
        return [row["id"] for row in self.rows(table)]
