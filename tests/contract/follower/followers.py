"""Followers: readers that go on from where they were, in any of the ways that the service allows."""

import csv
import io
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import httpx
import msgspec
import nanoarrow  # type: ignore[import-untyped]

from app.query.request.cursor import decode_cursor
from app.query.request.filters import fingerprint, parse_filters
from app.query.request.parameters import Format
from app.runtime.instants import epoch_us
from app.schema.filters import filter_table
from app.stores.query import Position
from tests.contract.stores import RECORDS

SINCE = "2023-11-14T22:13:20Z"  # T0_US
_MANY = 200
Get = Callable[[dict[str, str]], httpx.Response]


class Poll(msgspec.Struct, frozen=True):
    """How a follower asks, and what becomes of the answer.

    `fate`: an answer that is lost makes the follower ask again from where it was; `latest` shows what is not settled
    yet, too. `walks`: it goes on with `next_cursor` while there is one; else it jumps over the rest of the scan with
    `resume_cursor`.
    """

    limit: int = 1000
    format: Format = "json"
    fate: Literal["read", "latest", "lost"] = "read"
    walks: bool = True


class Follower:
    """A reader with the filters `asked`; `seen` are the places of the rows that it took, in its order."""

    def __init__(self, asked: Mapping[str, str], since: str = SINCE) -> None:
        self.seen: list[Position] = []
        self._asked, self._since = dict(asked), since
        self._mark = fingerprint(parse_filters(filter_table(RECORDS), [*asked.items()]))
        self._next: str | None = None
        self._resume: str | None = None
        self._begins = True
        # Of a scan that freshness=latest began: what was shown, which counts as far as the resume cursor has come.
        self._shown: list[Position] | None = None

    def question(self, poll: Poll) -> dict[str, str]:
        """Return the parameters of the next request."""
        if not poll.walks or self._next is None:
            self._leave_walk()
        self._begins = self._next is None
        cursor = self._next or self._resume
        asked = self._asked | {"fields": "ingest_time,delivery_key", "limit": str(poll.limit), "format": poll.format}
        if poll.fate == "latest":
            asked["freshness"] = "latest"
        return asked | ({"since": self._since} if cursor is None else {"cursor": cursor})

    def hear(self, answer: httpx.Response, poll: Poll) -> bool:
        """Take the answer; return whether there was more to read at once."""
        assert answer.status_code == 200, answer.text
        if poll.fate != "lost":
            if self._begins and poll.fate == "latest":
                self._shown = []
            (self.seen if self._shown is None else self._shown).extend(places_of(answer, poll.format))
            self._next = answer.headers.get("sluice-next-cursor")
            self._resume = answer.headers["sluice-resume-cursor"]
        return "sluice-next-cursor" in answer.headers

    def poll(self, get: Get, poll: Poll) -> bool:
        """Read a page; return whether there was more to read at once."""
        return self.hear(get(self.question(poll)), poll)

    def follow(self, get: Get, limit: int = 1000) -> None:
        for number in range(_MANY):
            if not self.poll(get, Poll(limit=limit, walks=number > 0)):
                return
        raise AssertionError(f"{_MANY} pages, and still there are more")

    def _leave_walk(self) -> None:
        """Go on with the resume cursor: what it stands behind will not be shown again, and all the rest will."""
        self._next = None
        if self._shown is not None and self._resume is not None:
            cursor = decode_cursor(self._resume, table=RECORDS.name, fingerprint=self._mark)
            reached = cursor.after or Position(cursor.since_us, "")
            self.seen += [place for place in self._shown if place <= reached]
        self._shown = None


def places_of(answer: httpx.Response, chosen: Format) -> list[Position]:
    """Return the stamps and keys of an answer's rows."""
    rows: list[dict[str, Any]]
    match chosen:
        case "json":
            rows = answer.json()["records"]
        case "ndjson":
            rows = [msgspec.json.decode(line) for line in answer.content.splitlines()]
        case "csv":
            rows = [*csv.DictReader(io.StringIO(answer.text))]
        case "arrow":
            rows = nanoarrow.ArrayStream.from_readable(answer.content).read_all().to_pylist()
    return [Position(_stamp_us(row["ingest_time"]), row["delivery_key"]) for row in rows]


def _stamp_us(stamp: str | datetime) -> int:
    return epoch_us(datetime.fromisoformat(stamp) if isinstance(stamp, str) else stamp)
