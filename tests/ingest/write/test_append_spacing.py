"""The distance between appends: nothing for a trickle, an even spread for a burst."""

import heapq

import pytest

from app.ingest.write.batching import AppendSpacing

ACK_US = 20_000


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_us = 1_000_000

    def elapsed_us(self) -> int:
        return self.now_us


def paced(target_in_flight: int = 4, ack_us: int = ACK_US) -> tuple[Hand, AppendSpacing]:
    """Return a pace that knows how long an acknowledgement takes, of an append that has just begun."""
    hand = Hand()
    pace = AppendSpacing(hand.elapsed_us, target_in_flight)
    if ack_us:
        pace.acknowledged(ack_us)
    pace.begun()
    return hand, pace


@pytest.mark.parametrize("target_in_flight", [2, 4, 8])
@pytest.mark.parametrize("ack_us", [500, 20_000, 10_000_000])
def test_where_there_is_always_something_to_send_it_settles_at_as_many_as_are_to_be_under_way(
    target_in_flight: int, ack_us: int
) -> None:
    """And they are spread over the time that an acknowledgement takes: whenever a message comes, one ends soon."""
    hand, pace = paced(target_in_flight, ack_us)
    answers, begins = [hand.now_us + ack_us], [hand.now_us]
    for _ in range(3_000):
        wait_us = pace.wait_us(len(answers)) if len(answers) < target_in_flight else ack_us
        if answers and answers[0] <= hand.now_us + wait_us:
            hand.now_us = max(hand.now_us, heapq.heappop(answers))
            pace.acknowledged(ack_us)
            continue
        hand.now_us += wait_us
        pace.begun()
        begins.append(hand.now_us)
        heapq.heappush(answers, hand.now_us + ack_us)
    assert len(answers) >= target_in_flight - 1
    gaps = [later - earlier for earlier, later in zip(begins[-20:], begins[-19:], strict=False)]
    assert max(gaps) < 2 * ack_us / target_in_flight
    assert min(gaps) >= ack_us / target_in_flight / 2


@pytest.mark.parametrize(
    ("busy", "ack_us", "waits_us"), [(4, 8_000, 0), (5, 8_000, 10_000), (40, 8_000, 80_000), (5, 60_000_000, 100_000)]
)
def test_more_busy_tables_than_the_target_let_some_time_pass(busy: int, ack_us: int, waits_us: int) -> None:
    """So all together have as many appends in flight as one; but a slow store does not make a message wait."""
    _, pace = paced(ack_us=ack_us)
    assert pace.wait_us(0, busy) == waits_us


@pytest.mark.parametrize(("busy", "waits_us"), [(1, 12_000), (4, 12_000), (5, 15_000), (40, 120_000)])
@pytest.mark.parametrize("ack_us", [0, 8_000, 60_000_000])
def test_once_the_tables_reach_the_target_the_distance_is_their_number_whatever_the_store_takes(
    busy: int, waits_us: int, ack_us: int
) -> None:
    """So all together begin a bounded number of appends a second, and a slow store makes no message wait longer."""
    _, pace = paced(ack_us=ack_us)
    assert [pace.wait_us(in_flight, busy, target_is_reached=True) for in_flight in (1, 3)] == [waits_us] * 2
