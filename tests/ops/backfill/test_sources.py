"""The items of a source: which files it has, their records, and archived messages."""

from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from app.auth.signatures import NO_PROOFS
from app.ingest.decode.envelope import open_push
from sluice.ops.backfill.sources import Item, SourceError, find_objects, read_items
from tests.ops.backfill.archive import DATA_ONLY, PUBLISHED, archived, write_avro


def items(path: Path) -> list[Item]:
    """Return the items of a file."""
    (found,) = find_objects(str(path))
    return list(read_items(found, NO_PROOFS, 10_000))


def test_a_folder_has_the_files_whose_names_say_what_they_are(tmp_path: Path) -> None:
    """By their ends, whatever their case, in order; not those that are hidden."""
    names = (
        "a.ndjson",
        "b/c.JSONL.gz",
        "b/part-000.gz",
        "d.avro",
        "e.json",
        "f.txt",
        "_SUCCESS",
        "_x/g.json",
        ".h.json",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [(each.path, each.format) for each in find_objects(str(tmp_path))] == [
        ("a.ndjson", "ndjson"),
        ("b/c.JSONL.gz", "ndjson"),
        ("b/part-000.gz", "ndjson"),
        ("d.avro", "avro"),
        ("e.json", "ndjson"),
    ]
    for source, said in ((tmp_path / "f.txt", "no file to read"), (tmp_path / "g", "there is no such file or folder")):
        with pytest.raises(SourceError, match=said):
            find_objects(str(source))


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


@pytest.mark.parametrize("name", ["a.avro", "a.ndjson.gz"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    """A library's error becomes a sentence with the file in it."""
    (tmp_path / name).write_bytes(b"rubbish")
    with pytest.raises(SourceError, match=f"{name}: cannot be read as "):
        items(tmp_path / name)
