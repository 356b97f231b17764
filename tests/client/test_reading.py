"""Windows, the feed without end, and where a follower keeps its cursor."""

from pathlib import Path

import pytest

from sluice_client import Feed, FileCursor, SqliteCursor
from sluice_client.cursors import CursorStore
from sluice_client.errors import CursorStoreError
from tests.client.scripted import page, scripted, too_long


def test_a_window_is_walked_to_its_end() -> None:
    """A page may be empty before the end; only the first request has the window."""
    client, script = scripted(page("a", next_cursor="1"), page(next_cursor="2"), page("b"))
    found = client.walk("-PT1H", "now", feed=Feed("pay ments", filters={"source": "a&b"}), fields=["id", "n"])
    assert [record["id"] for record in found] == ["a", "b"]
    assert script.params("since") == ["-PT1H", None, None]
    assert script.params("until") == ["now", None, None]
    assert script.params("cursor") == [None, "1", "2"]
    assert script.params("source") == ["a&b"] * 3
    assert script.params("fields") == ["id,n"] * 3
    assert script.requests[0].url.raw_path.startswith(b"/v1/streams/pay%20ments/records?")


def test_a_window_beyond_the_longest_is_walked_in_parts() -> None:
    """Adjacent ones, whose ends the service names."""
    client, script = scripted(
        too_long("T1"), page("a", next_cursor="1"), page("b"), too_long("T2"), page("c"), page("d")
    )
    assert [record["id"] for record in client.walk("T0", "T3")] == ["a", "b", "c", "d"]
    assert list(zip(script.params("since"), script.params("until"), script.params("cursor"), strict=True)) == [
        ("T0", "T3", None),
        ("T0", "T1", None),
        (None, None, "1"),
        ("T1", "T3", None),
        ("T1", "T2", None),
        ("T2", "T3", None),
    ]


def test_a_state_is_read_to_its_end() -> None:
    """Only the first request has the moment; filters and fields are repeated."""
    client, script = scripted(page("a", next_cursor="1"), page("b", resume="r"))
    pages = list(client.state("-PT1H", feed=Feed("payments", filters={"source": "a"}), fields=["id"]))
    assert [(len(each.records), each.resume_cursor) for each in pages] == [(1, "r"), (1, "r")]
    assert [request.url.path for request in script.requests] == ["/v1/streams/payments/state"] * 2
    assert [dict(request.url.params) for request in script.requests] == [
        {"source": "a", "fields": "id", "limit": "1000", **where} for where in ({"as_of": "-PT1H"}, {"cursor": "1"})
    ]
    with pytest.raises(ValueError, match="rejected records have no state"):
        client.state(feed=Feed(rejects=True))


def test_a_follower_waits_as_the_service_says() -> None:
    """It asks at once while there is more, and pauses when there is not; it never asks for a window again."""
    client, script = scripted(page("a", resume="1"), page(resume="2", poll_after=5), page("b", resume="3"))
    follower = client.follow("-PT1H", wait_s=7)
    assert [len(next(follower).records) for _ in range(3)] == [1, 0, 1]
    assert script.pauses == [5]
    assert script.params("cursor") == [None, "1", "2"]
    assert script.params("wait") == ["7"] * 3
    client, script = scripted(page(poll_after=5), page())
    follower = client.follow(poll_s=60, wait_s=0)
    assert [len(next(follower).records) for _ in range(2)] == [0, 0]
    assert (script.pauses, script.params("wait")) == ([60], [None, None])


@pytest.mark.parametrize("kind", [FileCursor, SqliteCursor])
def test_a_cursor_is_saved_when_its_page_was_processed(kind: type[FileCursor | SqliteCursor], tmp_path: Path) -> None:
    """A program that dies with a page gets that page again."""
    state: CursorStore = kind(tmp_path / "state")
    client, _ = scripted(page("a", resume="1"), page("b", resume="2"), page("c", resume="3"))
    follower = client.follow(state=state)
    next(follower)
    key = Feed().key("http://service")
    assert state.load(key) == ""
    next(follower)
    assert state.load(key) == "1"
    client, script = scripted(page("b", resume="2", poll_after=1))
    list(client.follow(state=kind(tmp_path / "state"), until_caught_up=True))
    assert script.params("cursor") == ["1"]
    assert state.load(key) == "2"
    with pytest.raises(CursorStoreError, match="holds the cursor of http://service/v1/records, not of"):
        next(client.follow(state=state, feed=Feed("payments")))
    (tmp_path / "other").write_text("notes, " * 1_000)
    with pytest.raises(CursorStoreError, match="holds no cursor"):
        kind(tmp_path / "other").load(key)
