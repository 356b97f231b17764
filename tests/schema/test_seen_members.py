"""Seen members: counted by path and outcome, and bounded whatever producers send."""

from app.schema.undeclared_members import MAX_LENGTH, MAX_NAMES, SeenMembers


def test_names_are_bounded_in_number_and_length() -> None:
    """Beyond that only their number is known; those already known go on counting."""
    seen = SeenMembers()
    for number in range(MAX_NAMES + 3):
        seen.note(f"{number:04}" + "x" * MAX_LENGTH, "dropped")
    seen.note("0000" + "x" * MAX_LENGTH, "dropped")
    assert (len(seen.members), seen.others) == (MAX_NAMES, 3)
    assert max(len(each.path) for each in seen.members) == MAX_LENGTH
    assert seen.members[0].count == 2
