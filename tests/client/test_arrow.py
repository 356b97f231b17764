"""Arrow IPC streams are cut into their messages."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.encoders import row_encoder
from sluice_client.errors import ResponseError
from sluice_client.protocol.arrow import Messages
from tests.query.sample_rows import COLUMNS, sample_row


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 20_000), max_size=8))
def test_a_stream_is_cut_into_its_messages(batches: list[int], cuts: list[int]) -> None:
    """Wherever its chunks end; the mark of the end is none."""
    encoder = row_encoder("arrow", COLUMNS)
    expected = [encoder.begin(), *(encoder.encode([sample_row()] * rows) for rows in batches if rows)]
    whole = b"".join([*expected, encoder.end()])
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    messages = Messages()
    found = [each for begin, end in itertools.pairwise(places) for each in messages.feed(whole[begin:end])]
    assert found == expected


@pytest.mark.parametrize("begin", [b"\xff\xff\xff\xff\xf8\xff\xff\xff", b"<!DOCTYPE html>"])
def test_what_is_no_arrow_is_an_error(begin: bytes) -> None:
    """A negative length, or a page for people."""
    with pytest.raises(ResponseError, match="no stream of Arrow"):
        [*Messages().feed(begin)]
