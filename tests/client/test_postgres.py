"""What only Postgres does: it has no U+0000, and cuts long names."""

import json
import logging

import msgspec
import pytest

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column
from sluice_client.sinks.sink import open_sink

COLUMNS = (Column("text", "STRING"), Column("any", "JSON"), Column("delivery_key", "STRING"))


def test_a_text_that_postgres_lacks_is_replaced_and_said(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """One record of that kind must not stop the feed. A backslash before `u0000` is text, and stays."""
    sink = open_sink(postgres_url, "nul")
    sink.open("key", COLUMNS)
    text = json.dumps({"a": "\0", "b": "\\u0000", "c": "\\\0"})
    with caplog.at_level(logging.WARNING, logger="sluice_client"):
        assert sink.write([("a\0b", msgspec.Raw(text.encode()), "k1")], "c1") == 1
    database = sink._database  # type: ignore[attr-defined]  # to read what it stored
    assert database.execute('SELECT text, "any" FROM nul') == [
        ("a\ufffdb", {"a": "\ufffd", "b": "\\u0000", "c": "\\\ufffd"})
    ]
    sink.close()
    assert len(caplog.records) == 2


def test_a_name_that_would_be_cut_is_refused(postgres_url: str) -> None:
    """Two such columns might become one."""
    sink = open_sink(postgres_url, "names")
    long_name = Column("é" * 32, "STRING")
    with pytest.raises(TargetError, match="longer than 63 bytes"):
        sink.open("key", (*COLUMNS, long_name))
    sink.open("key", COLUMNS)
    with pytest.raises(TargetError, match="longer than 63 bytes"):
        sink.widen((*COLUMNS, long_name))
    sink.close()
