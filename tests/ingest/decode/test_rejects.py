"""The rows of what could not be stored."""

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.rejects import Reject, encode_rejects
from app.stores.sink import late_key, part_key, whole_key
from tests.ingest.scripted import ScriptedAppender


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 1), (10, 1), (11, 2), (30, 3), (31, 4)])
def test_large_rejects_are_cut_over_several_rows_and_lose_nothing(size: int, parts: int) -> None:
    """Put together in the order of their parts, the rows hold the bytes as they came."""
    raw = bytes(range(size))
    reject = Reject(index=2, reason="malformed", detail="why", field="a.b", raw=raw)
    message = Message(key="7:0", data=raw)
    encoded = encode_rejects(message, [reject], ScriptedAppender().encoder, 10, stream="records")
    rows = [msgspec.json.decode(row) for row in encoded]
    assert len(rows) == parts
    assert b"".join(msgspec.convert(row["payload"], bytes) for row in rows) == raw
    assert [(row["part"], row["parts"]) for row in rows] == [(part, parts) for part in range(parts)]
    assert {(row["reason"], row["detail"], row["field"], row["message_index"]) for row in rows} == {
        ("malformed", "why", "a.b", 2)
    }
    assert [row["delivery_key"] for row in rows] == ["7:0:2", *(f"7:0:2#{part}" for part in range(1, parts))]


@pytest.mark.parametrize(
    ("content_type", "encoding", "message_id", "kept"),
    [
        ("application/json", "", None, {}),
        ("application/x-ndjson", "", None, {"content-type": "application/x-ndjson"}),
        (" Application/JSONL; charset=utf-8", "", None, {"content-type": "application/jsonl"}),
        ("text/plain", " GZIP ", None, {"content-encoding": "gzip"}),
        ("application/x-ndjson", "gzip", None, {"content-type": "application/x-ndjson", "content-encoding": "gzip"}),
        ("", "b" * 1_000, None, {"content-encoding": "b" * 40}),
        ("application/x-ndjson", "gzip", "1", {}),
    ],
)
def test_a_reject_over_http_keeps_how_its_bytes_are_read(
    content_type: str, encoding: str, message_id: str | None, kept: dict[str, str]
) -> None:
    """As the attributes that a pushed message has for that, which it has already; a long header is cut."""
    message = Message(key="7", data=b"x", content_type=content_type, content_encoding=encoding, message_id=message_id)
    reject = Reject(index=0, reason="malformed", detail="why", field=None, raw=b"x")
    (row,) = encode_rejects(message, [reject], ScriptedAppender().encoder, 10, stream="records")
    assert msgspec.json.decode(row)["attributes"] == kept


@pytest.mark.parametrize("key", ["m:1:0", "m:1:0#1", "m:1:0~late2", "m:1:0~late1#12"])
@pytest.mark.parametrize("part", [0, 1, 12])
def test_the_key_of_a_row_leads_back_to_the_record(key: str, part: int) -> None:
    """Of every part, late or not; what looks like a part's number in the record's own key stays."""
    row_key = part_key(key, part)
    assert whole_key(late_key(row_key, 3), part) == key
    if part or not key.endswith("~late2"):
        assert whole_key(row_key, part) == key
