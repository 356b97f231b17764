"""What docs/api.md says in words is so: the laws of cursors, what filters find, what may be kept."""

import re
from typing import Any

import pytest

from app.runtime.instants import DAY_US
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, running
from tests.shop import DOCUMENT, shop

TEXT = DOCUMENT.read_text()
PAST = "since=2026-01-31T11:57:00Z&until=2026-01-31T11:59:00Z"
VALUES = {
    "limit": "7",
    "fields": "source",
    "format": "csv",
    "csv_guard": "true",
    "wait": "1",
    "freshness": "latest",
    "count": "exact",
    "explain": "true",
}


async def test_with_a_cursor_everything_but_filters_may_change() -> None:
    """Each parameter that the page names may be given with a cursor; other filters, another order or a window may not.

    The cursor of another endpoint, and one that was cut, may not either.
    """
    (line,) = [line for line in TEXT.splitlines() if line.startswith("- **Filters are repeated**")]
    names = re.findall("`([a-z_]+)`", line)
    assert sorted(names) == sorted(VALUES)
    async with shop() as service:
        page = (await service.client.get("/v1/records?source=checkout&limit=1")).json()
        for cursor in (page["next_cursor"], page["resume_cursor"]):
            asked = f"/v1/records?source=checkout&cursor={cursor}"
            for name in names:
                assert (await service.client.get(f"{asked}&{name}={VALUES[name]}")).status_code == 200, name
            for changed in ("order=desc", "since=now", "until=now"):
                answer = await service.client.get(f"{asked}&{changed}")
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), changed
            for wrong in (asked.replace("checkout", "shipping"), asked[:-1], asked.replace("records", "rejects")):
                answer = await service.client.get(wrong.replace("rejects?source=checkout&", "rejects?"))
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), wrong


async def test_who_fell_far_behind_catches_up_window_by_window() -> None:
    """A resume cursor is then read in windows of the greatest length, with nothing to wait for between them."""
    async with running(SETTINGS.replace(max_window_days=1), clock=(clock := FakeClock())) as service:
        await service.push(GOOD, message_id="1")
        cursor = (await service.client.get("/v1/records?since=now")).json()["resume_cursor"]
        clock.advance_to(clock.now_us() + 5 * DAY_US // 2)
        await service.push(GOOD | {"id": "b"}, message_id="2")
        pages = []
        for _ in range(3):
            pages.append((await service.client.get(f"/v1/records?cursor={cursor}")).json())
            cursor = pages[-1]["resume_cursor"]
        assert [len(page["records"]) for page in pages] == [0, 0, 1]
        assert [page["poll_after"] for page in pages] == [0, 0, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("data.country=NO", ["order-1042", "order-1042"]),
        ("data.items.0.sku=A-1", ["order-1042"]),
        ("data.total=80.0", []),
        ("data.total.gte=80.0", ["order-1043"]),
        ("data.country.gte=0", []),
        ("data.items.isnull=true&data.country=NO", ["order-1042", "order-1042"]),
        ("data.isnull=true", ["note-1"]),
        ("source.ne=checkout", ["parcel-7", "note-1"]),
        ("id.prefix=order", ["order-1042", "order-1043", "order-1042"]),
        ("id.prefix=Order", []),
        ('source.in=shipping,"a,b"', ["parcel-7"]),
        ("timestamp.gte=2026-01-31T12:59:00%2B01:00", ["note-1"]),
    ],
)
async def test_filters_find_what_the_page_says(query: str, found: list[str]) -> None:
    """Paths into JSON, texts and numbers, what has no value, capital letters, quotes."""
    async with shop() as service:
        answer: dict[str, Any] = (await service.client.get(f"/v1/records?{query}")).json()
        assert [record["id"] for record in answer["records"]] == found


@pytest.mark.parametrize(
    ("path", "keeping", "has_tag"),
    [
        (f"/v1/records?{PAST}", "private, max-age=86400, immutable", True),
        (f"/v1/records/stats?{PAST}", "private, max-age=86400, immutable", True),
        ("/v1/records", "private, no-cache", False),
        ("/v1/records?since=2026-01-31T11:57:00Z", "private, no-cache", False),
        ("/v1/records/stats", "private, no-cache", False),
        ("/v1/rejects", "private, no-cache", False),
        ("/v1/rejects/stats", "private, no-cache", False),
        ("/v1/records?freshness=latest", "private, no-cache", False),
        ("/v1/records/order-1042", "private, no-store", False),
        ("/v1/records?explain=true", "private, no-store", False),
        (f"/v1/records?limit=all&{PAST}", "private, no-store", False),
        ("/v1/schema", "private, max-age=300", True),
        ("/v1/problems", "private, max-age=300", True),
    ],
)
async def test_answers_say_whether_they_can_be_kept(path: str, keeping: str, has_tag: bool) -> None:  # noqa: FBT001 - a table
    """Cache-Control is that of the page's table; a tag that is sent back is answered 304, without a body."""
    assert f"`{keeping}`" in TEXT
    async with shop() as service:
        answer = await service.client.get(path)
        assert answer.headers["cache-control"] == keeping
        tag = answer.headers.get("etag")
        assert (tag is not None) is has_tag
        if tag is not None:
            again = await service.client.get(path, headers={"If-None-Match": tag})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_an_erasure_does_not_forget_idempotency_keys() -> None:
    """A request repeated with its old key stores nothing until the look-back is over; with a new key it stores."""
    assert "**with a new `Idempotency-Key`**" in TEXT
    clock = FakeClock()
    async with running(clock=clock) as service:

        async def are_stored_by(key: str) -> int:
            answer = await service.client.post("/v1/records", json=GOOD, headers={"Idempotency-Key": key})
            assert answer.status_code == 201
            erased = await service.client.delete("/v1/records/a")
            count: int = erased.json()["erased"]["records"]
            return count

        assert [await are_stored_by(key) for key in ("old", "old", "new")] == [1, 0, 1]
        await clock.advance(SETTINGS.query.dedupe_lookback_s + 1)
        assert await are_stored_by("old") == 1
