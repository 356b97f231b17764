"""What streams may have in flight: any stream can work, and none can take what the others need."""

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.intake import StreamShares


def filled(shares: StreamShares, stream: str, size: int = 1) -> int:
    """Let a stream enter until it is refused; return how many messages did."""
    count = 0
    while shares.enter(stream, size):
        count += 1
    return count


def test_alone_a_stream_takes_half_and_the_next_half_of_the_rest() -> None:
    """However many are stuck, there is room for one that is not."""
    shares = StreamShares(1_024)
    assert [filled(shares, str(number)) for number in range(4)] == [512, 256, 128, 64]
    assert shares.enter("quiet", 10)


def test_a_stream_with_nothing_in_flight_always_enters() -> None:
    """Otherwise a message larger than the share could never be stored."""
    shares = StreamShares(10)
    assert shares.enter("a", 100)
    assert shares.enter("b", 100)
    assert not shares.enter("a", 1)
    shares.leave("a", 100)
    assert shares.enter("a", 100)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=60))
def test_what_left_is_free_again(steps: list[tuple[str, int, bool]]) -> None:
    """After any sequence of messages, as much may enter as at the beginning."""
    shares, inside = StreamShares(200), list[tuple[str, int]]()
    for stream, size, leaves in steps:
        if leaves and inside:
            shares.leave(*inside.pop())
        elif shares.enter(stream, size):
            inside.append((stream, size))
    for stream, size in inside:
        shares.leave(stream, size)
    assert filled(shares, "a", 1) == filled(StreamShares(200), "a", 1)
