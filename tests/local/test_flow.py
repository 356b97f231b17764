"""The push window and the back-off, on a virtual clock."""

import pytest

from sluice.local.flow import INITIAL_WINDOW, PushFlow


def fill_and_ack(flow: PushFlow, latency_s: float = 0.01) -> None:
    """Send a full window and have all of it acknowledged."""
    window, epoch = flow.window, flow.epoch
    for left in range(window, 0, -1):
        flow.acked(epoch, latency_s, in_flight=max(left, window))


def test_the_window_starts_small_and_doubles_each_round() -> None:
    """A few requests first, then twice as many after each fully acknowledged round."""
    flow = PushFlow()
    assert flow.room(0, now_s=0) == INITIAL_WINDOW
    windows = []
    for _ in range(4):
        fill_and_ack(flow)
        windows.append(flow.window)
    assert windows == [INITIAL_WINDOW * 2, INITIAL_WINDOW * 4, INITIAL_WINDOW * 8, INITIAL_WINDOW * 16]


def test_a_nack_pauses_the_whole_subscription() -> None:
    """Nothing starts before the pause is over, whatever the window."""
    flow = PushFlow()
    flow.nacked(flow.epoch, now_s=10.0)
    assert flow.room(0, now_s=10.05) == 0
    assert flow.pause_s(now_s=10.05) == pytest.approx(0.05)
    assert flow.room(0, now_s=10.1) == INITIAL_WINDOW
    assert flow.pause_s(now_s=10.2) == 0


def test_the_pause_doubles_from_100_ms_to_60_s() -> None:
    """Consecutive failures back off exponentially up to the maximum."""
    flow, now_s, pauses = PushFlow(), 0.0, []
    for _ in range(12):
        flow.nacked(flow.epoch, now_s)
        pauses.append(flow.pause_s(now_s))
        now_s += pauses[-1]
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]
    assert pauses == pytest.approx(expected)


def test_a_window_of_failures_is_one_failure() -> None:
    """Requests that were under way when the pause began do not lengthen it, nor halve the window again."""
    flow = PushFlow()
    for _ in range(6):
        fill_and_ack(flow)
    window, epoch = flow.window, flow.epoch
    for _ in range(window):
        flow.nacked(epoch, now_s=1.0)
    assert flow.pause_s(now_s=1.0) == pytest.approx(0.1)
    assert flow.window == window // 2


def test_acknowledgements_take_the_back_off_down_again() -> None:
    """Each acknowledged request after the pause halves the next one; late ones from before do not."""
    flow = PushFlow()
    for now_s in (0.0, 1.0, 2.0):
        flow.nacked(flow.epoch, now_s)
    assert flow.backoff_s == pytest.approx(0.4)
    flow.acked(flow.epoch - 1, 0.01, in_flight=1)
    assert flow.backoff_s == pytest.approx(0.4)
    for _ in range(3):
        flow.acked(flow.epoch, 0.01, in_flight=1)
    assert flow.backoff_s == 0
    flow.nacked(flow.epoch, now_s=3.0)
    assert flow.backoff_s == pytest.approx(0.1)
