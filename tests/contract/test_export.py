"""Exports over both stores: what pages give one after the other, an export gives at once."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.arrow import ArrowRows
from app.runtime.instants import SECOND_US, to_text
from app.stores.query import ArrowQuery, Rows
from app.stores.source import QueryRunner
from tests.contract.application import principal
from tests.contract.service import WINDOW, Client, Service
from tests.contract.shelf import LOOKBACK_US, Put
from tests.contract.stores import RECORDS, T0_US, Engine, Store, law
from tests.contract.watched import Watched

_STEPS = st.sampled_from([0, 0, 1, SECOND_US, 70 * SECOND_US, LOOKBACK_US, LOOKBACK_US + 1, 86_400 * SECOND_US])
_ROWS = st.lists(st.tuples(_STEPS, st.sampled_from("abcdé"), st.sampled_from(["x", "y", "z"])), max_size=14)
ALL = {**WINDOW, "limit": "all"}


class Counting(Watched):
    """A runner that knows how many rows each query of an export has to give, unless they share a stamp."""

    def __init__(self, inner: QueryRunner) -> None:
        super().__init__(inner)
        self.exported = list[int]()

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        assert isinstance(query, Rows)
        if query.within.length_us > 1 and not self.profile.materializes:
            self.exported.append(len((await self._inner.rows(query)).rows))
        async with aclosing(self._inner.arrow(query)) as pieces:
            async for piece in pieces:
                yield piece


def lines(client: Client, **asked: str) -> list[dict[str, Any]]:
    """Return the lines of an export as NDJSON."""
    answer = client.get("/v1/records", params={"limit": "all", **asked})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [msgspec.json.decode(line) for line in answer.content.splitlines()]


def walked(client: Client, limit: int, **asked: str) -> list[dict[str, Any]]:
    """Return the records of all pages."""
    page = client.get("/v1/records", params={"limit": limit, **asked}).json()
    found: list[dict[str, Any]] = page["records"]
    kept = {name: text for name, text in asked.items() if name not in {"since", "until", "cursor", "order"}}
    while (cursor := page["next_cursor"]) is not None:
        page = client.get("/v1/records", params={"limit": limit, "cursor": cursor, **kept}).json()
        found += page["records"]
    return found


def test_an_export_holds_what_the_pages_hold(engine: Engine, store: Store) -> None:
    """The same rows in the same order, whatever the order, the filter, and the page after which it begins.

    No query gives more rows than memory has room for.
    """

    @law(engine)
    @given(
        rows=_ROWS,
        ends=st.tuples(_STEPS, _STEPS),
        order=st.sampled_from(["asc", "desc"]),
        asked=st.sampled_from([{}, {"id.ne": "x"}, {"id.in": "x,y", "fields": "id"}]),
        begun=st.integers(0, 4),
    )
    def holds(
        rows: list[tuple[int, str, str]], ends: tuple[int, int], order: str, asked: dict[str, str], begun: int
    ) -> None:
        engine.loop.run(store.clear())
        runner = Counting(store.runner)
        service = Service(engine, store, runner=runner)  # anew, since a cache keeps what was there before
        client, puts, at_us = service.client(), list[Put](), T0_US
        for step_us, key, name in rows:
            at_us += step_us
            # Two rows with one stamp and key are each other's copies: which of them counts is not said.
            twins = [put for put in puts if (put.ingest_us, put.key) == (at_us, key)]
            puts.append(Put(at_us, key, twins[0].id if twins else name))
        if puts:
            service.put_records(puts)
        service.settle(at_us + 1)
        since_us = T0_US + ends[0]
        window = {"since": to_text(since_us), "until": to_text(since_us + 3 * ends[1])}
        place = {**window, "order": order}
        if begun:
            first = client.get("/v1/records", params={**place, **asked, "limit": begun}).json()
            place = {} if first["next_cursor"] is None else {"cursor": first["next_cursor"]}
            place = place or {"cursor": first["resume_cursor"]}
        with patch.multiple("app.query.read.feed", _FIRST_ROWS=3, _GROWTH=1):
            assert lines(client, **place, **asked) == walked(client, 3, **place, **asked)
        assert max(runner.exported, default=0) <= 3

    holds()


@pytest.mark.parametrize("form", ["arrow", "csv", "ndjson"])
def test_each_format_is_that_of_a_page(client: Client, form: str) -> None:
    """The bytes are those of one long page; Arrow's batches may be cut in another way."""
    page = client.get("/v1/records", params={**WINDOW, "format": form})
    export = client.get("/v1/records", params={**ALL, "format": form})
    assert export.headers["content-type"] == page.headers["content-type"]
    if form == "arrow":
        assert _arrow_rows(export.content, RECORDS.columns) == _arrow_rows(page.content, RECORDS.columns)
        assert _schema(export.content) == _schema(page.content)
    else:
        assert export.content == page.content
        assert export.content.count(b"\n") == (4 if form == "csv" else 3)


@pytest.mark.above_the_stores
def test_the_closing_line_says_that_nothing_is_missing(client: Client) -> None:
    """In NDJSON an object of its own, in CSV a record with as many cells as the others have."""
    answer = client.get("/v1/records", params={**ALL, "end": "true"})
    cursor = answer.headers["sluice-resume-cursor"]
    assert msgspec.json.decode(answer.content.splitlines()[-1]) == {"end": True, "records": 3, "resume_cursor": cursor}
    for fields, line in {
        "id,data,message_id,source": f"#end,3,{cursor},",
        "id,data,source": f"#end,3,{cursor}",
        "id,data": "#end,3",
        "id": "#end",
    }.items():
        answer = client.get("/v1/records", params={**ALL, "end": "true", "format": "csv", "fields": fields})
        assert answer.text.split("\r\n")[-2:] == [line, ""]
    assert client.get("/v1/records", params=ALL).content.count(b"\n") == 3


@pytest.mark.above_the_stores
def test_a_follower_goes_on_behind_an_export(service: Service, client: Client) -> None:
    """The resume cursor reads what came later, and nothing twice."""
    cursor = client.get("/v1/records", params=ALL).headers["sluice-resume-cursor"]
    service.put_record(T0_US + 1_000, "later", "later")
    assert [record["id"] for record in lines(client, cursor=cursor)] == ["later"]


@pytest.mark.above_the_stores
def test_what_a_caller_may_not_see_is_not_exported(service: Service, client: Client) -> None:
    """A grant's filters hold for an export and its count, too."""
    service.principals["Bearer some"] = principal("some", id="id1")
    answer = client.get("/v1/records", params={**ALL, "count": "exact"}, headers={"Authorization": "Bearer some"})
    assert [msgspec.json.decode(line)["id"] for line in answer.content.splitlines()] == ["id1"]
    assert answer.headers["sluice-count"] == "1;relation=eq"


@pytest.mark.above_the_stores
def test_the_headers_of_an_export(client: Client) -> None:
    """Nobody keeps it, its length is not known, and a browser saves it under a telling name."""
    answer = client.get("/v1/records", params={**ALL, "format": "csv", "count": "capped"})
    assert dict(answer.headers) == {
        "content-type": "text/csv; charset=utf-8; header=present",
        "content-disposition": ('attachment; filename="records-20231114T221320Z-20231114T221320.000050Z.csv"'),
        "cache-control": "private, no-store",
        "vary": "Accept, Authorization",
        "sluice-count": "3;relation=eq",
        "sluice-resume-cursor": client.get("/v1/records", params=WINDOW).headers["sluice-resume-cursor"],
    }
    head = client.head("/v1/records", params={**ALL, "format": "csv"})
    assert head.content == b""
    assert dict(head.headers) == {name: text for name, text in answer.headers.items() if name != "sluice-count"}


def _arrow_rows(stream: bytes, columns: Any) -> list[dict[str, Any]]:
    return [row for rows in ArrowRows(columns).row_lists(stream) for row in rows]


def _schema(stream: bytes) -> bytes:
    return stream[: 8 + int.from_bytes(stream[4:8], "little")]
