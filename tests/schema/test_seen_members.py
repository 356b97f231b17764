"""Seen members: counted by path and outcome, and bounded whatever producers send."""

from app.schema.undeclared_members import MAX_LENGTH, MAX_NAMES, SeenMember, SeenMembers


def test_members_are_counted_by_path_and_outcome() -> None:
    """The most frequent first."""
    seen = SeenMembers()
    for path, outcome in (("a", "kept"), ("b", "kept"), ("b", "kept"), ("b", "rejected")):
        seen.note(path, "kept" if outcome == "kept" else "rejected")
    assert seen.members == [SeenMember("b", "kept", 2), SeenMember("a", "kept", 1), SeenMember("b", "rejected", 1)]
    assert (seen.others, seen.changes) == (0, 4)


def test_names_are_bounded_in_number_and_length() -> None:
    """Beyond that only their number is known; those already known go on counting."""
    seen = SeenMembers()
    for number in range(MAX_NAMES + 3):
        seen.note(f"{number:04}" + "x" * MAX_LENGTH, "dropped")
    seen.note("0000" + "x" * MAX_LENGTH, "dropped")
    assert (len(seen.members), seen.others) == (MAX_NAMES, 3)
    assert max(len(each.path) for each in seen.members) == MAX_LENGTH
    assert seen.members[0].count == 2
