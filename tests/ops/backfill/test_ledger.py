"""The keys of a backfill's records, and what a ledger makes of them."""

from hypothesis import given
from hypothesis import strategies as st

from sluice.ops.backfill.ledger import Ledger, State, mark_of, message_key, object_digest

DIGEST = object_digest("a/b.ndjson")
_rows = st.integers(0, 3_000)


@given(rows=st.sets(_rows), asked=_rows, data=st.binary())
def test_a_ledger_knows_exactly_what_it_was_told(rows: set[int], asked: int, data: bytes) -> None:
    """Whatever the order and the gaps, and for one object only."""
    ledger, mark = Ledger(), mark_of(data)
    for row in rows:
        ledger.note(f"{message_key('n', DIGEST, row, mark)}:0", is_reject=False)
    assert ledger.state(DIGEST, asked, mark) is (State.STORED if asked in rows else State.NEW)
    assert ledger.state(object_digest("other"), asked, mark) is State.NEW


def test_another_record_in_the_place_of_a_stored_one_is_a_change() -> None:
    """In the place of a rejected one it is new: the line was mended."""
    ledger, mark = Ledger(), mark_of(b"x")
    ledger.note(f"{message_key('n', DIGEST, 1, mark)}:0", is_reject=False)
    ledger.note(f"{message_key('n', DIGEST, 2, mark)}:0", is_reject=True)
    assert ledger.state(DIGEST, 1, mark % 65_535 + 1) is State.CHANGED
    assert ledger.state(DIGEST, 2, mark) is State.REJECTED
    assert ledger.state(DIGEST, 2, mark % 65_535 + 1) is State.NEW


def test_a_reject_of_several_rows_counts_when_all_are_there() -> None:
    """A run that was killed between two of them rejects the record again."""
    ledger, mark = Ledger(), mark_of(b"x")
    key = f"{message_key('n', DIGEST, 0, mark)}:0"
    for row_key in (key, f"{key}#1"):
        ledger.note(row_key, is_reject=True)
    assert ledger.state(DIGEST, 0, mark, parts=3) is State.NEW
    ledger.note(f"{key}#2", is_reject=True)
    assert ledger.state(DIGEST, 0, mark, parts=3) is State.REJECTED
