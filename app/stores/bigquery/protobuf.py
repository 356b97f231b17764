"""The protobuf descriptor of a row, which the Storage Write API accepts as the writer schema.

Field types follow https://cloud.google.com/bigquery/docs/supported-data-types: TIMESTAMP
is int64 microseconds, DATE int32 days since 1970-01-01, and NUMERIC, TIME and JSON are text.
"""

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table

_TYPES = {
    Kind.BOOL: FieldDescriptorProto.TYPE_BOOL,
    Kind.INT64: FieldDescriptorProto.TYPE_INT64,
    Kind.FLOAT64: FieldDescriptorProto.TYPE_DOUBLE,
    Kind.NUMERIC: FieldDescriptorProto.TYPE_STRING,
    Kind.STRING: FieldDescriptorProto.TYPE_STRING,
    Kind.BYTES: FieldDescriptorProto.TYPE_BYTES,
    Kind.TIMESTAMP: FieldDescriptorProto.TYPE_INT64,
    Kind.DATE: FieldDescriptorProto.TYPE_INT32,
    Kind.TIME: FieldDescriptorProto.TYPE_STRING,
    Kind.JSON: FieldDescriptorProto.TYPE_STRING,
    Kind.STRUCT: FieldDescriptorProto.TYPE_MESSAGE,
}
_LABELS = {
    Mode.REQUIRED: FieldDescriptorProto.LABEL_REQUIRED,
    Mode.NULLABLE: FieldDescriptorProto.LABEL_OPTIONAL,
    Mode.REPEATED: FieldDescriptorProto.LABEL_REPEATED,
}


def protobuf_descriptor(table: Table) -> DescriptorProto:
    """Return a self-contained proto2 message with one field for each column, numbered in the table's order."""
    return _message("Row", table.columns)


def _message(name: str, columns: tuple[Column, ...]) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for number, column in enumerate(columns, start=1):
        field = message.field.add(
            name=column.name,
            number=number,
            type=_TYPES[column.kind],
            label=_LABELS[column.mode],
            json_name=column.name,  # explicit, because the names derived from user_id and userId would clash
        )
        if column.kind is Kind.STRUCT:
            nested = _message(_type_name(number, columns), column.fields)
            message.nested_type.append(nested)
            field.type_name = nested.name
    return message


def _type_name(number: int, columns: tuple[Column, ...]) -> str:
    """Name the type of the field `number`: fields and nested types share one scope."""
    name = f"Struct{number}"
    while any(column.name == name for column in columns):
        name += "_"
    return name
