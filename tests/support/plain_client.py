"""Rows of one column for the Storage Write API, without a stamp."""

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from app.stores.stamping import AttemptStamp

STREAM = "projects/p/datasets/d/tables/records/streams/_default"
SCHEMA = DescriptorProto(
    name="Row",
    field=[
        FieldDescriptorProto(
            name="id",
            number=1,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_REQUIRED,
        )
    ],
)


def row(row_id: str) -> bytes:
    """Return a serialised row of SCHEMA."""
    return b"\x0a" + bytes([len(row_id)]) + row_id.encode()


class Unstamped(AttemptStamp):
    """A stamp for rows that need none, or have theirs already."""

    def __init__(self) -> None:
        """Need neither a clock nor limits."""

    def take(self) -> bytes:
        """Return nothing to end a row with."""
        return b""

    def is_stale(self) -> bool:
        """Say that it is never too old."""
        return False
