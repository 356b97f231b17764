"""Which connections are closed to make room, and which because nobody reads."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.http.load_shedding import Connection, Shedder
from app.runtime.clock import MICROSECONDS

SILENT: dict[str, Any] = {"quiet_s": 1.0}
PARTIAL: dict[str, Any] = {"quiet_s": 1.0, "received_bytes": 24}
KEPT_ALIVE: dict[str, Any] = {"quiet_s": 1.0, "received_bytes": 200, "acked_bytes": 300, "has_answered": True}


def made(count: int, first: int = 0, **what: Any) -> list[Connection]:
    """Return connections that are each a little longer quiet than the one before."""
    quiet_s = what.pop("quiet_s", 1.0)
    return [
        Connection(file=number, peer=("192.0.2.1", str(number)), quiet_s=quiet_s + number / 1000, **what)
        for number in range(first, first + count)
    ]


def files(found: Sequence[tuple[Connection, str]]) -> list[int]:
    """Return which ones are closed."""
    return [connection.file for connection, _ in found]


def looked(shedder: Shedder, connections: list[Connection], busy: set[Any] | None = None) -> list[int]:
    """Return what is closed at the second look, a second after the first."""
    shedder.to_close(connections, busy or set(), 0)
    return files(shedder.to_close(connections, busy or set(), MICROSECONDS))


@pytest.mark.parametrize(
    ("connections", "closed"),
    [
        (made(74, **SILENT), []),  # the server's own time limit is for that
        (made(75, **KEPT_ALIVE), []),
        (made(80, **KEPT_ALIVE), range(79, 74, -1)),
        ([*made(30, **KEPT_ALIVE), *made(40, 30, **PARTIAL), *made(20, 70, **SILENT)], range(89, 49, -1)),
        (made(80, quiet_s=0.0, received_bytes=9), []),  # it began to arrive
    ],
    ids=["room", "three quarters", "kept alive", "silent first, kept alive last", "arriving"],
)
def test_room_is_made_of_those_that_ask_least(connections: list[Connection], closed: Sequence[int]) -> None:
    """Beyond three quarters of the places; who has been served is the most likely to ask again."""
    assert looked(Shedder(max_connections=100, stall_s=30), connections) == list(closed)


def test_silent_ones_all_go_at_the_first_look_the_longest_quiet_first() -> None:
    """A flood of them is not waited for."""
    closed = files(Shedder(max_connections=100, stall_s=30).to_close(made(80, **SILENT), set(), 0))
    assert closed == list(range(79, -1, -1))


def test_a_request_in_progress_is_never_closed() -> None:
    """Nor is one that ended a moment ago."""
    shedder, connections = Shedder(max_connections=100, stall_s=30), made(100, **PARTIAL)
    everybody = {each.peer for each in connections}
    assert looked(shedder, connections, everybody) == []
    assert files(shedder.to_close(connections, set(), MICROSECONDS + 100_000)) == []
    assert files(shedder.to_close(connections, set(), MICROSECONDS + 200_000)) != []


def test_one_that_sent_something_is_looked_at_twice() -> None:
    """Its request may be complete, and on its way to the application."""
    shedder, connections = Shedder(max_connections=100, stall_s=30), made(100, **PARTIAL)
    assert files(shedder.to_close(connections, set(), 0)) == []
    assert len(files(shedder.to_close(connections, set(), 200_000))) == 50


def test_a_kernel_that_tells_nothing_is_believed_to_have_heard_something() -> None:
    """Then what was seen decides, at the second look."""
    shedder, connections = Shedder(max_connections=4, stall_s=30), made(4, quiet_s=float("inf"))
    assert files(shedder.to_close(connections, set(), 0)) == []
    assert len(files(shedder.to_close(connections, set(), 200_000))) == 2


def test_a_client_that_acknowledges_nothing_for_its_time_is_closed() -> None:
    """Though its request is in progress; one that takes a byte now and then is not."""
    shedder = Shedder(max_connections=100, stall_s=30)
    stuck = Connection(file=1, peer=("192.0.2.1", "1"), acked_bytes=5, has_unread=True, has_answered=True)
    closed = []
    for second in range(0, 61, 10):
        slow = Connection(file=2, peer=("192.0.2.1", "2"), acked_bytes=second, has_unread=True, has_answered=True)
        found = shedder.to_close([stuck, slow], {stuck.peer, slow.peer}, second * MICROSECONDS)
        closed.append([(each.file, reason) for each, reason in found])
    assert closed[:3] == [[], [], []]
    assert closed[3:] == [[(1, "unread")]] * 4


def test_heads_that_are_not_complete_may_come_to_so_much() -> None:
    """A few hundred large ones are closed, although there are places left."""
    shedder = Shedder(max_connections=16_384, stall_s=30)
    heads = made(600, received_bytes=160 * 1024)
    closed = looked(shedder, heads)
    left = sum(each.received_bytes for each in heads if each.file not in set(closed))
    assert 60 * 1024**2 < left <= 64 * 1024**2


def test_a_file_that_is_another_connection_now_begins_anew() -> None:
    """Files are numbered again and again."""
    shedder = Shedder(max_connections=2, stall_s=30)
    shedder.to_close([Connection(file=1, peer=("192.0.2.1", "1"), received_bytes=1)] * 2, set(), 0)
    others = [Connection(file=1, peer=("192.0.2.1", "2"), received_bytes=1)] * 2
    assert files(shedder.to_close(others, set(), MICROSECONDS)) == []
