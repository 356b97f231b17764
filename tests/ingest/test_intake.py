"""Taking bodies in: the place they take up, and the time they may take."""

import asyncio
from typing import Any

import pytest

from app.errors import ProblemError
from app.ingest.admission import Admission
from app.ingest.intake import Intake


def intake(admission: Admission, read_deadline_s: float = 30.0) -> Intake:
    """Return an intake of bodies up to 100 bytes."""
    return Intake(admission, max_body_bytes=100, read_deadline_s=read_deadline_s)


async def test_a_body_that_does_not_come_is_408_and_gives_its_place_back() -> None:
    """A caller that stalls does not hold memory for ever."""
    admission = Admission(max_messages=1, max_bytes=100)

    async def never() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(ProblemError) as raised:
        await intake(admission, read_deadline_s=0.001).read([(b"content-length", b"50")], never)
    assert (raised.value.status, raised.value.headers) == (408, {"Connection": "close"})
    assert (admission.messages, admission.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("headers", "size", "code"),
    [
        ([(b"content-length", b"101")], 101, "too_large"),
        ([], 101, "too_large"),
        ([(b"content-length", b"5")], 101, "too_large"),
        ([(b"content-length", b"nonsense")], 50, None),
        ([(b"content-length", b"7")], 50, None),
        ([], 100, None),
    ],
)
async def test_what_counts_is_what_came(headers: list[tuple[bytes, bytes]], size: int, code: str | None) -> None:
    """A wrong or missing length changes neither the limit nor the count."""
    admission = Admission(max_messages=1, max_bytes=1_000)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    taking = intake(admission)
    if code is not None:
        with pytest.raises(ProblemError) as raised:
            await taking.read(headers, receive)
        assert raised.value.code == code
    else:
        body = await taking.read(headers, receive)
        assert (len(body), admission.bytes, admission.messages) == (size, size, 1)
        taking.release(body)
    assert (admission.messages, admission.bytes) == (0, 0)
