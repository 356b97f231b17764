"""Arrow IPC streams are cut into their messages."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.encoders import row_encoder
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
