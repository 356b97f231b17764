"""The line that shows how far a follower is."""

import io
from datetime import UTC, datetime

from sluice_client.loading import Progress
from sluice_client.progress import ProgressLine, bar

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_line_says_how_far_how_many_and_how_fast() -> None:
    """With a bar."""
    progress = Progress(12_345, "2026-01-31T10:00:00Z", "2026-01-31T11:00:00.5Z")
    assert bar(progress, NOON, 999.6) == (
        "[############............]  50%  12,345 new records  1,000/s  up to 2026-01-31T11:00:00Z"
    )


def test_elsewhere_there_is_a_line_when_something_has_changed() -> None:
    """Every half a minute while it catches up; after that, when there were new records."""
    stream, now_s = io.StringIO(), 0.0
    line = ProgressLine(stream, clock=lambda: now_s)
    for now_s in range(61):
        line.show(Progress(now_s, "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z"))
    assert len(stream.getvalue().splitlines()) == 3
    caught_up = Progress(61, "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z", is_caught_up=True)
    for _ in range(5):
        line.show(caught_up)
    assert len(stream.getvalue().splitlines()) == 4
    line.show(Progress(62, "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z", is_caught_up=True))
    assert len(stream.getvalue().splitlines()) == 5
    ProgressLine(stream, is_quiet=True).show(caught_up)
    assert len(stream.getvalue().splitlines()) == 5
