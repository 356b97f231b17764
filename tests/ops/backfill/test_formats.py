"""Each format, written by somebody else's library, as the JSON records that it becomes."""

import gzip
import io
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import fastavro
import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from pyarrow import parquet

from app.ingest.decode.envelope import open_push
from app.ingest.decode.proof import NO_PROOFS
from app.schema.table import records_table
from sluice.ops.backfill.formats import Item, Reading, SourceError, format_of, read_items
from tests.ops.backfill.archive import DATA_ONLY, PUBLISHED, WITH_METADATA, archived, write_avro


class Leg(msgspec.Struct, forbid_unknown_fields=True):
    """A nested record."""

    to: str
    cost: Decimal | None = None


class Trip(msgspec.Struct, forbid_unknown_fields=True):
    """A record with a field of each kind."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    at: Annotated[datetime, Meta(tz=True)] | None = None
    day: date | None = None
    clock: time | None = None
    is_new: bool | None = None
    count: int = 0
    level: float | None = None
    price: Decimal | None = None
    code: bytes | None = None
    tags: list[str] = []
    legs: list[Leg] = []
    data: Any = None


TABLE = records_table(Trip)


READING = Reading(table=TABLE, proofs=NO_PROOFS, max_record_bytes=10_000)


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


def items(path: Path) -> list[Item]:
    """Return the items of a file."""
    return list(read_items(path.name, format_of(path.name) or "", partial(_opened, path), READING))


def members(path: Path) -> list[Any]:
    """Return the records of a file as plain values."""
    return [msgspec.json.decode(item.data) for item in items(path)]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.ndjson", "ndjson"),
        ("a.JSONL.gz", "ndjson"),
        ("part-000.gz", "ndjson"),
        ("a.csv.gz", "csv"),
        ("x/a.parquet", "parquet"),
        ("a.avro", "avro"),
        ("a.txt", None),
        ("_SUCCESS", None),
    ],
)
def test_a_name_says_what_a_file_is(name: str, form: str | None) -> None:
    """By its end, whatever its case."""
    assert format_of(name) == form


def test_csv_cells_are_what_their_columns_say(tmp_path: Path) -> None:
    """Texts stay texts, numbers keep their digits, an empty cell is no member, and what does not fit stays a text."""
    path = tmp_path / "a.csv.gz"
    text = (
        "\ufeffid,at,is_new,count,level,price,code,tags,data,other\r\n"
        '007,2026-01-31 12:00:00.5 UTC,TRUE,7,1.50,1.10,aGk=,"[""a"",""b""]","{""n"": 1}",x\r\n'
        '"a\nb",2026-01-31T12:00:00+01:00,0,7.0,much,,,,plain,\r\n'
    )
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    first, second = items(path)
    assert b'"level":1.50' in first.data
    assert msgspec.json.decode(first.data) == {
        "id": "007",
        "at": "2026-01-31T12:00:00.5Z",
        "is_new": True,
        "count": 7,
        "level": 1.5,
        "price": "1.10",
        "code": "aGk=",
        "tags": ["a", "b"],
        "data": {"n": 1},
        "other": "x",
    }
    assert msgspec.json.decode(second.data) == {
        "id": "a\nb",
        "at": "2026-01-31T12:00:00+01:00",
        "is_new": False,
        "count": 7.0,
        "level": "much",
        "data": "plain",
    }


def test_a_csv_row_that_is_no_record_is_a_fault_of_its_own(tmp_path: Path) -> None:
    """The rows after it are read, and its bytes are kept."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,count\na,1,2\n\xff,1\nb\n")
    long, bad, good = items(path)
    assert long.fault is not None
    assert long.fault.detail == "the row has 3 cells, and the header 2"
    assert bad.fault is not None
    assert bad.data == b"\xff,1"
    assert (good.row, good.data) == (2, b'{"id":"b"}')


@given(
    rows=st.lists(st.tuples(st.text(min_size=1), st.integers(-(2**63), 2**63 - 1), st.booleans()), min_size=1),
)
def test_csv_law(rows: list[tuple[str, int, bool]]) -> None:
    """What Python's writer writes comes back, whatever the text."""
    import csv  # noqa: PLC0415 - the other side, used here only

    text = io.StringIO()
    csv.writer(text).writerows([("id", "count", "is_new"), *rows])
    encoded = text.getvalue().encode("utf-8", "surrogatepass")
    found = list(read_items("a.csv", "csv", lambda: io.BytesIO(encoded), READING))
    assert [msgspec.json.decode(item.data) for item in found if item.fault is None] == [
        {"id": name, "count": count, "is_new": is_new} for name, count, is_new in rows
    ]


NANOSECONDS = 1_769_860_800_123_456_789
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("at", pa.timestamp("ns", "UTC")),
        ("day", pa.date32()),
        ("clock", pa.time64("us")),
        ("is_new", pa.bool_()),
        ("count", pa.int64()),
        ("level", pa.float64()),
        ("price", pa.decimal128(38, 9)),
        ("code", pa.binary()),
        ("tags", pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        ("legs", pa.list_(pa.struct([("to", pa.string()), ("cost", pa.decimal128(20, 2))]))),
        (
            "data",
            pa.struct(
                [
                    ("m", pa.map_(pa.string(), pa.decimal128(38, 9))),
                    ("t", pa.timestamp("ns", "UTC")),
                    ("n", pa.float64()),
                ]
            ),
        ),
    ]
)
FULL = {
    "id": "a",
    "at": NANOSECONDS,
    "day": date(2026, 1, 31),
    "clock": time(1, 2, 3, 400),
    "is_new": False,
    "count": 2**63 - 1,
    "level": float("nan"),
    "price": Decimal("12345678901234567890.123456789"),
    "code": b"\xff\x00",
    "tags": ["x", "y"],
    "legs": [{"to": "b", "cost": Decimal("0.10")}, {"to": "c", "cost": None}],
    "data": {"m": [("k", Decimal("0.000000001"))], "t": NANOSECONDS, "n": None},
}
EMPTY = dict.fromkeys(FULL) | {"id": "b"}
AS_JSON = (
    b'{"id":"a","at":"2026-01-31T12:00:00.123456Z","day":"2026-01-31","clock":"01:02:03.000400","is_new":false,'
    b'"count":9223372036854775807,"level":"nan","price":12345678901234567890.123456789,"code":"/wA=",'
    b'"tags":["x","y"],"legs":[{"to":"b","cost":0.10},{"to":"c"}],"data":{"m":{"k":1E-9},"t":"2026-01-31T12:00:00.123456Z","n":null}}'
)


def test_parquet_rows_keep_every_digit(tmp_path: Path) -> None:
    """Microseconds, decimals, bytes, lists, structs, maps; a null is no member, except inside of a JSON column."""
    count = 2_500
    table = pa.Table.from_pylist([FULL if n % 3 else EMPTY for n in range(count)], schema=SCHEMA)
    parquet.write_table(table, tmp_path / "a.parquet")
    found = items(tmp_path / "a.parquet")
    assert [item.row for item in found] == [*range(count)]
    assert all(item.data == (AS_JSON if item.row % 3 else b'{"id":"b"}') for item in found)


def test_other_arrow_types(tmp_path: Path) -> None:
    """UUIDs, JSON as a text, instants without a zone, seconds, and numbers of every width."""
    value = uuid.UUID(int=7)
    table = pa.table(
        {
            "id": pa.array([value.bytes], pa.binary(16)).cast(pa.uuid()),
            "data": pa.array(['{"a": 1.0}'], pa.large_string()),
            "at": pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("s")),
            "clock": pa.array([3_661], pa.time32("s")),
            "count": pa.array([7], pa.uint8()),
            "tags": pa.array([["x"]], pa.list_(pa.string(), 1)),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    (found,) = members(tmp_path / "a.parquet")
    assert found == {
        "id": str(value),
        "data": {"a": 1.0},
        "at": "2026-01-31T12:00:00",
        "clock": "01:01:01",
        "count": 7,
        "tags": ["x"],
    }


def test_what_has_no_json_form_is_its_text(tmp_path: Path) -> None:
    """A decimal for a declared text keeps its digits, a duration is a text, and a map has texts for its keys."""
    table = pa.table(
        {
            "id": pa.array([Decimal("1.10")], pa.decimal128(5, 2)),
            "data": pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
            "other": pa.array([90], pa.duration("s")),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    assert members(tmp_path / "a.parquet") == [{"id": "1.10", "data": {"1": 2}, "other": "PT90S"}]


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    """One of them would be lost."""
    schema = pa.schema([("id", pa.int64()), ("id", pa.int64())])
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], schema=schema), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="two columns have the same name"):
        items(tmp_path / "a.parquet")


def test_an_archived_message_has_the_keys_of_its_push(tmp_path: Path) -> None:
    """And its attributes, but neither a subscription nor a trace: those were of another delivery."""
    attributes = {"content-type": "application/x-ndjson", "googclient_traceparent": f"00-{1:032x}-{1:016x}-01"}
    write_avro(tmp_path / "a.avro", [archived("123", b"{}", attributes=attributes), archived("", b"{}")])
    first, second = items(tmp_path / "a.avro")
    headers = {
        b"x-goog-pubsub-message-id": b"123",
        b"x-goog-pubsub-publish-time": PUBLISHED.isoformat().encode(),
        b"x-goog-pubsub-subscription-name": b"projects/p/subscriptions/s",
        **{name.encode(): value.encode() for name, value in attributes.items()},
    }
    expected = msgspec.structs.replace(open_push(headers, b"{}"), subscription_name=None, trace_id=None, parent=None)
    assert first.message == expected
    assert expected.delivery_key(1) == "123:1769860800123456:1"
    assert second.fault is not None
    assert "message.messageId" in second.fault.detail


def test_messages_without_metadata_are_records(tmp_path: Path) -> None:
    """Nothing tells which delivery they were; any other Avro file is refused by the name of its schema."""
    write_avro(tmp_path / "a.avro", [{"data": b'{"id":"x"}'}], DATA_ONLY)
    (item,) = items(tmp_path / "a.avro")
    assert (item.data, item.message) == (b'{"id":"x"}', None)
    other: dict[str, Any] = {"type": "record", "name": "my.Order", "fields": []}
    with (tmp_path / "b.avro").open("wb") as file:
        fastavro.writer(file, other, [{}])
    with pytest.raises(SourceError, match=r"b\.avro: .* the schema is my\.Order: expected com\.google\.pubsub"):
        items(tmp_path / "b.avro")


@pytest.mark.parametrize(
    ("field", "kind", "value", "said"),
    [
        ("publish_time", "long", 7, r"Expected `datetime`, got `int` - at `\$\.publish_time`"),
        ("publish_time", {"type": "long", "logicalType": "timestamp-micros"}, 2**62, "date value out of range"),
        ("attributes", "string", "x", "Expected `object`, got `str`"),
        ("attributes", {"type": "map", "values": "int"}, {"a": 1}, "Expected `str`, got `int`"),
        ("message_id", "int", 7, "Expected `str`, got `int`"),
        ("data", ["null", "bytes"], None, "Expected `bytes`, got `null`"),
        ("data", "string", "x", "Expected `bytes`, got `str`"),
    ],
)
def test_an_archive_with_other_types_is_named(tmp_path: Path, field: str, kind: Any, value: Any, said: str) -> None:
    """Under the names that Pub/Sub uses, too."""
    fields = [each | {"type": kind} if each["name"] == field else each for each in WITH_METADATA["fields"]]
    write_avro(tmp_path / "a.avro", [archived("1", b"{}") | {field: value}], WITH_METADATA | {"fields": fields})
    with pytest.raises(SourceError, match=rf"a\.avro: cannot be read as avro after 0 records: {said}"):
        items(tmp_path / "a.avro")


@pytest.mark.parametrize("name", ["a.parquet", "a.avro", "a.ndjson.gz", "a.csv"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    """A library's error becomes a sentence with the file in it."""
    (tmp_path / name).write_bytes(b"\x00rubbish\n" if name == "a.csv" else b"rubbish")
    path = tmp_path / name
    if name == "a.csv":
        path.write_bytes(b"\n")
    with pytest.raises(SourceError, match=f"{name}: cannot be read as "):
        items(path)
