"""Law: whatever additive changes a type makes, and whichever images store, what was published equals what is read.

An image is a set of the members that its type declares; a producer sends members that the image it reaches declares.
The table gains columns when a newer image opens the file (embedded), or when Terraform runs, at any time (BigQuery).
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.runtime.clock import SystemClock
from app.schema.table import Table, records_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder, protobuf_descriptor
from app.stores.duckdb.store import EmbeddedStore
from app.stores.sink import Stored
from app.stores.sql.statement import Statement
from sluice.testing.misbehaving.rows import RowReader
from tests.encoding import encoded, whole_envelope
from tests.long_form import examples

MEMBERS: dict[str, Any] = {
    "text": (str | None, None),
    "number": (int | None, None),
    "tags": (list[str], []),
    "nested.one": (str | None, None),
    "nested.many": (list[int], []),
    "parts.one": (str | None, None),
    "parts.two": (int | None, None),
}
NAMES = sorted(MEMBERS)
VALUES = {
    "text": st.sampled_from(["", "x"]),
    "number": st.integers(-1, 1),
    "tags": st.lists(st.sampled_from("ab"), min_size=1, max_size=2),
    "nested.one": st.sampled_from(["", "y"]),
    "nested.many": st.lists(st.integers(0, 1), min_size=1, max_size=2),
    "parts.one": st.sampled_from(["", "z"]),
    "parts.two": st.integers(0, 1),
}
Published = dict[str, Any]
"""A record: its members by path, those without a value left out."""
_EVERYTHING = Statement(sql="SELECT * FROM `records`", parameters={})
_types: dict[frozenset[str], type[msgspec.Struct]] = {}


def type_of(members: frozenset[str]) -> type[msgspec.Struct]:
    """Return the record type of an image."""
    if members not in _types:
        _types[members] = _type_of(members)
    return _types[members]


def _type_of(members: frozenset[str]) -> type[msgspec.Struct]:
    def fields(prefix: str) -> list[Any]:
        inner = [each.removeprefix(prefix) for each in sorted(members) if each.startswith(prefix)]
        return [(name, *MEMBERS[prefix + name]) for name in inner if "." not in name]

    def struct(name: str, declared: list[Any]) -> Any:
        return msgspec.defstruct(name, declared, kw_only=True, forbid_unknown_fields=True)

    declared = [("id", str), *fields("")]
    # A nested Struct begins with one field: BigQuery and DuckDB have no empty ones.
    declared.append(("nested", struct("Nested", [("zero", int | None, None), *fields("nested.")]) | None, None))
    part: Any = struct("Part", [("zero", int | None, None), *fields("parts.")])
    made: type[msgspec.Struct] = struct("Image", [*declared, ("parts", list[part], [])])
    return made


def record_of(members: frozenset[str], record_id: str, published: Published) -> Any:
    """Return the record as an image decodes it."""
    plain: dict[str, Any] = {"id": record_id}
    for path, value in published.items():
        outer, _, name = path.rpartition(".")
        match outer:
            case "":
                plain[name] = value
            case "nested":
                plain.setdefault("nested", {})[name] = value
            case _:
                plain.setdefault("parts", [{}])[0][name] = value
    return msgspec.convert(plain, type_of(members))


def values_of(row: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Yield (id, member, value) for every value of a row that is there."""
    flat = {
        **row,
        **{f"nested.{name}": value for name, value in (row.get("nested") or {}).items()},
        **{f"parts.{name}": value for part in row.get("parts") or [] for name, value in part.items()},
    }
    for name in NAMES:
        if (value := flat.get(name)) not in (None, []):
            yield row["id"], name, repr(value)


def expected(records: dict[str, Published]) -> Counter[tuple[str, str, str]]:
    """Return the multiset that was published."""
    return Counter((key, name, repr(value)) for key, published in records.items() for name, value in published.items())


@st.composite
def images(draw: st.DrawFn) -> frozenset[str]:
    """Draw what an image declares."""
    return frozenset(draw(st.sets(st.sampled_from(NAMES))))


@st.composite
def publications(draw: st.DrawFn, members: frozenset[str]) -> Published:
    """Draw a record of members that an image declares."""
    used = draw(st.sets(st.sampled_from(sorted(members)))) if members else set()
    return {name: draw(VALUES[name]) for name in sorted(used)}


def row_of(encoder: Any, members: frozenset[str], key: str, published: Published) -> bytes:
    """Return the encoded row of a record."""
    envelope = whole_envelope(Message(key=key, data=b"", attributes={}))
    return encoded(encoder, record_of(members, key, published), envelope)


@settings(max_examples=examples(12), deadline=None)
@given(st.data())
def test_the_embedded_file_keeps_what_every_image_stored(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Images open one file in turn, older after newer and newer after older; the last one reads all members."""
    path = Path(tmp_path_factory.mktemp("law")) / "data.duckdb"
    records: dict[str, Published] = {}
    for number in range(data.draw(st.integers(1, 4))):
        members = data.draw(images())
        table = records_table(type_of(members))
        store = EmbeddedStore.open(str(path), [table], SystemClock())
        appender = store.appender(table)
        for index in range(data.draw(st.integers(0, 2))):
            key = f"{number}-{index}"
            records[key] = data.draw(publications(members))
            row = row_of(appender, members, key, records[key])
            assert store._insert("records", appender._insert_sql, number, [row]) == Stored()
        store.close()
    store = EmbeddedStore.open(str(path), [records_table(type_of(frozenset(NAMES)))], SystemClock())
    rows = store.read_once(_rows)
    store.close()
    assert Counter(each for row in rows for each in values_of(row)) == expected(records)


def _rows(connection: Any) -> list[dict[str, Any]]:
    found = connection.execute(_EVERYTHING.sql.replace("`", '"'))
    names = [name for name, *_ in found.description]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


class _LiveTable:
    """A table as BigQuery has it: it refuses a writer schema with a column that it lacks, and keeps the rest."""

    def __init__(self, columns: frozenset[str]) -> None:
        self.columns, self.rows = columns, list[dict[str, Any]]()

    def append(self, schema: DescriptorProto, row: bytes) -> None:
        """Store a row, read with the schema of its connection as the server does."""
        nested = {each.name: {field.name for field in each.field} for each in schema.nested_type}
        declared = {field.name for field in schema.field} | {
            f"{field.name}.{inner}" for field in schema.field for inner in nested.get(field.type_name, ())
        }
        assert not {name for name in declared if name in MEMBERS} - self.columns, "refused: it lacks the column"
        self.rows.append(_plain(RowReader(schema).read(row)))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if hasattr(value, "ListFields"):
            return {field.name: plain(inner) for field, inner in value.ListFields()}
        return [plain(each) for each in value] if hasattr(value, "append") else value

    return {name: plain(value) for name, value in row.items()}


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_rows_for_bigquery_wait_or_are_stored_whole(data: st.DataObject) -> None:
    """Images beside each other, Terraform at any moment: a row is held or complete, and those held are stored later."""
    live = _LiveTable(data.draw(images()))
    records: dict[str, Published] = {}
    waiting: list[tuple[Table, ProtoRowEncoder, bytes]] = []
    fleet = [data.draw(images()) for _ in range(data.draw(st.integers(1, 3)))]
    encoders = [(members, records_table(type_of(members))) for members in fleet]
    for number in range(data.draw(st.integers(1, 6))):
        members, table = data.draw(st.sampled_from(encoders))
        encoder = ProtoRowEncoder(table)
        key = str(number)
        records[key] = data.draw(publications(members))
        waiting.append((table, encoder, row_of(encoder, members, key, records[key]) + encoder.stamp(number)))
        if data.draw(st.booleans()):
            live.columns |= data.draw(images())
        waiting = _delivered(live, waiting)
    live.columns = frozenset(NAMES)
    assert _delivered(live, waiting) == []
    assert Counter(each for row in live.rows for each in values_of(row)) == expected(records)


def _delivered(
    live: _LiveTable, waiting: list[tuple[Table, ProtoRowEncoder, bytes]]
) -> list[tuple[Table, ProtoRowEncoder, bytes]]:
    held = []
    for table, encoder, row in waiting:
        lacking = frozenset(NAMES) - live.columns
        if encoder.fitted(row, lacking) is None:
            held.append((table, encoder, row))
        else:
            live.append(protobuf_descriptor(table, lacking), row)
    return held
