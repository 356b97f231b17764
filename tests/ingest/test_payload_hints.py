"""A payload that is not JSON is told what it probably is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.payload_hints import NDJSON_HINT, malformed_detail
from testing.service import running
from tests.ingest.reading import GOOD, read

_BEGIN = b'{"id":"a","timestamp":"2026-01-31T12:00:00Z","data":'


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (_BEGIN + b"NaN}", "NaN is not JSON: send null"),
        (_BEGIN + b"[1, NaN]}", "NaN is not JSON: send null"),
        (_BEGIN + b'{"a":nan}}', "nan is not JSON: send null"),
        (_BEGIN + b"nan}", "nan is not JSON: send null"),
        (_BEGIN + b"Infinity}", "Infinity is not JSON: send null"),
        (_BEGIN + b"-Infinity}", "-Infinity is not JSON: send null"),
        (_BEGIN + b'{"a": -inf, "b": 1}}', "-inf is not JSON: send null"),
        (_BEGIN + b"None}", "None is not JSON: send null"),
        (b"[" + _BEGIN + b"NaN}]", "NaN is not JSON: send null"),
        (b"NaN", "NaN is not JSON: send null"),
        (GOOD + b"\n" + GOOD, NDJSON_HINT),
        (GOOD + b"\r\n\n  " + GOOD + b"\n", NDJSON_HINT),
        (GOOD + b"\n{broken", NDJSON_HINT),
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
        (GOOD + b" {}", ""),
        (GOOD + b"\nNaN", ""),
        (GOOD + b'\n"{"', ""),
        (_BEGIN + b'"NaN", }', ""),
        (_BEGIN + b'"x" NaN"}', ""),
        (_BEGIN + b"NaNa}", ""),
        (_BEGIN + b"nothing}", ""),
        (b"{", "application/json"),
    ],
)
def test_nothing_is_guessed_where_it_does_not_fit(data: bytes, content_type: str) -> None:
    """A hint that is wrong is worse than none."""
    _, (reject, *_) = read(data, content_type=content_type)
    assert reject.reason == "malformed"
    assert "send null" not in reject.detail
    assert "NDJSON" not in reject.detail


@given(st.binary(max_size=40))
def test_any_bytes_get_a_detail(data: bytes) -> None:
    """A hint never fails, whatever the payload."""
    for place in range(len(data) + 2):
        for kind in ("invalid character", "trailing characters"):
            error = ValueError(f"JSON is malformed: {kind} (byte {place})")
            assert malformed_detail(data, error).startswith(f"not valid JSON: {error}")


@pytest.mark.parametrize(
    ("body", "hint"), [(_BEGIN + b"NaN}", "NaN is not JSON: send null"), (GOOD + b"\n" + GOOD, NDJSON_HINT)]
)
async def test_the_hint_reaches_who_sent_it(body: bytes, hint: str) -> None:
    """In the problem over HTTP, and in the rejects for what was pushed."""
    async with running() as service:
        answer: Any = (await service.client.post("/v1/records", content=body)).json()
        assert (answer["code"], hint in answer["errors"][0]["message"]) == ("rejected", True)
        assert (await service.push_bytes(body)).status_code == 204
        for reject in (await service.client.get("/v1/rejects")).json()["records"]:
            assert hint in reject["detail"]
