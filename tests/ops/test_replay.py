"""What a replay makes of the rows of rejects; tests/contract and tests/streams replay those of a service."""

import gzip

import pytest

from sluice.ops.replay import RejectRow, assemble, readable


@pytest.mark.parametrize(
    ("payload", "kept"), [(gzip.compress(b"[{", mtime=0), {"content-encoding": "gzip"}), (b'{"id": 7}', {})]
)
def test_a_record_out_of_a_compressed_message_is_not_called_compressed(payload: bytes, kept: dict[str, str]) -> None:
    """A whole message keeps its gzip mark; a single record was stored decompressed and loses it."""
    row = RejectRow("invalid", "m:1:0", payload, attributes={"content-encoding": "gzip"})
    (rejected,) = assemble([row], [])
    assert rejected.attributes == kept
    assert rejected.payload == payload


def test_a_reject_whose_bytes_were_withheld_is_named_and_not_replayed() -> None:
    """Nothing could be published in its place; one that was scrubbed is replayed as it was stored."""
    rows = [
        RejectRow("malformed", "m:1:0", b"", attributes={"sluice-payload": "withheld"}),
        RejectRow("invalid", "m:1:1", b"{}", attributes={"sluice-payload": "scrubbed"}),
        RejectRow("invalid", "m:1:2", b"{}"),
    ]
    withheld: list[str] = []
    assert ([row.delivery_key for row in readable(rows, withheld)], withheld) == (["m:1:1", "m:1:2"], ["m:1:0"])


def test_a_reject_that_was_stored_again_because_it_was_late_keeps_its_key() -> None:
    """Its parts find each other, whichever were late; only a record with a missing part is reported."""
    incomplete: list[str] = []
    rows = [
        RejectRow("invalid", "m:1:0", b"a", part=0, parts=2),
        RejectRow("invalid", "m:1:0#1~late1", b"b", part=1, parts=2),
        RejectRow("invalid", "m:1:0#1", b"b", part=1, parts=2),
        RejectRow("invalid", "m:1:1~late12", b"c"),
        RejectRow("invalid", "m:1:2#1~late1", b"d", part=1, parts=2),
    ]
    found = [(each.delivery_key, each.payload) for each in assemble(rows, incomplete)]
    assert (found, incomplete) == ([("m:1:0", b"ab"), ("m:1:1", b"c")], ["m:1:2"])
