"""A payload that is not JSON is told what it probably is."""

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode import payload
from app.ingest.decode.payload import (
    GZIP_HINT,
    NDJSON_HINT,
    NOT_COMPRESSED_HINT,
    malformed_detail,
)
from tests.ingest.reading import GOOD, read
from tests.support.process import ROOT

_NDJSON = "application/x-ndjson"
_BEGIN = b'{"id":"a","timestamp":"2026-01-31T12:00:00Z","data":'


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (_BEGIN + b"NaN}", "NaN is not JSON: send null"),
        (_BEGIN + b'{"a":nan}}', "nan is not JSON: send null"),
        (_BEGIN + b"-Infinity}", "-Infinity is not JSON: send null"),
        (_BEGIN + b'{"a": -inf, "b": 1}}', "-inf is not JSON: send null"),
        (_BEGIN + b"None}", "None is not JSON: send null"),
        (b"NaN", "NaN is not JSON: send null"),
        (GOOD + b"\n" + GOOD, NDJSON_HINT),
        (GOOD + b"\r\n\n  " + GOOD + b"\n", NDJSON_HINT),
        (gzip.compress(GOOD, mtime=0), GZIP_HINT),
    ],
)
def test_a_hint_names_what_would_be_right(data: bytes, hint: str) -> None:
    """Where no value is written as pandas, Python or JavaScript write it, and lines that are records each."""
    _, (reject, *_) = read(data)
    assert reject.reason == "malformed"
    assert reject.detail.startswith("not valid JSON: ")
    assert reject.detail.endswith(f" ({hint})")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (GOOD + b"\n" + GOOD[:-1] + b",}", "application/x-ndjson"),
        (GOOD + GOOD, ""),
        (GOOD + b" []", ""),
        (GOOD + b"\nNaN", ""),
        (b"id,timestamp\n1,2026-01-31\n", ""),
        (GOOD + b'\n"{"', ""),
        (_BEGIN + b'"NaN", }', ""),
        (_BEGIN + b'"x" NaN"}', ""),
    ],
)
def test_nothing_is_guessed_where_it_does_not_fit(data: bytes, content_type: str) -> None:
    """A hint that is wrong is worse than none."""
    _, (reject, *_) = read(data, content_type=content_type)
    assert reject.reason == "malformed"
    assert not re.search(r"send|looks like|declare", reject.detail)


@pytest.mark.parametrize(
    ("data", "content_type", "content_encoding", "reason", "hint"),
    [
        (GOOD, "", "gzip", "bad_encoding", NOT_COMPRESSED_HINT),
        (gzip.compress(GOOD, mtime=0), _NDJSON, "", "malformed", GZIP_HINT),
    ],
)
def test_a_wrong_declaration_is_named(
    data: bytes, content_type: str, content_encoding: str, reason: str, hint: str
) -> None:
    """Text that is said to be compressed, and compressed data that is said to be text."""
    _, (reject,) = read(data, content_type=content_type, content_encoding=content_encoding)
    assert (reject.reason, reject.faults) == (reason, ())
    assert reject.detail.endswith(f" ({hint})")


@given(st.binary(max_size=40))
def test_any_bytes_get_a_detail(data: bytes) -> None:
    """A hint never fails, whatever the payload."""
    for place in range(len(data) + 2):
        for kind in ("invalid character", "trailing characters"):
            error = ValueError(f"JSON is malformed: {kind} (byte {place})")
            assert malformed_detail(data, error).startswith(f"not valid JSON: {error}")


def test_the_producers_page_lists_the_hints() -> None:
    """docs/publish.md says what to do about each guess at a format."""
    page = (ROOT / "docs" / "publish.md").read_text()
    hints = {value for name, value in vars(payload).items() if name.endswith("_HINT")}
    assert len(hints) == 3
    assert {hint for hint in hints if f"| `{hint}` |" not in page} == set()
