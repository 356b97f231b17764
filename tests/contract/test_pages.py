"""The feeds over HTTP: exact answers, headers, HEAD, and what follows."""

import re
from typing import Any

import pytest

from app.query.request.cursor import Cursor, encode_cursor
from app.runtime.instants import SECOND_US
from sluice.testing.clock import FakeClock
from tests.contract.service import SINCE, UNTIL, WINDOW, Client, Service, default_record, lasting_headers, problem_of
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, REJECTS, T0_US, Engine
from tests.encoding import encoded


def _expected_record(number: int) -> dict[str, Any]:
    return {
        "id": f"id{number}",
        "timestamp": "2026-01-01T00:00:00Z",
        "source": None,
        "data": {"n": 1},
        **envelope(f"k{number}"),
        "ingest_time": f"2023-11-14T22:13:20.0000{10 * number:02}Z" if number else SINCE,
    }


@pytest.mark.above_the_stores
def test_a_page_is_served_exactly_as_documented(client: Client) -> None:
    """Flat records, both cursors, the window as resolved, and when to come back."""
    answer = client.get("/v1/records", params=WINDOW)
    assert answer.json() == {
        "records": [_expected_record(number) for number in range(3)],
        "next_cursor": None,
        "resume_cursor": encode_cursor(
            Cursor(table="records", descending=False, since_us=T0_US + 50, until_us=None, after=None)
        ),
        "window": WINDOW,
        "poll_after": 0,
    }
    assert ("sluice-bytes-processed" in answer.headers) is (client.engine.name == "bigquery")
    told = lasting_headers(answer)
    assert re.fullmatch(r'"[\w-]{43}"', told.pop("etag"))
    assert told == {
        "content-type": "application/json",
        "content-length": str(len(answer.content)),
        "cache-control": "private, max-age=86400, immutable",
        "vary": "Accept, Authorization",
        "sluice-cache": "miss",
        "server-timing": "cache;desc=miss, total;dur",
        "sluice-resume-cursor": answer.json()["resume_cursor"],
    }


@pytest.mark.above_the_stores
def test_a_page_before_the_last_links_to_the_next(client: Client) -> None:
    """The link keeps the other parameters, and following it to the end gives every record once."""
    answer = client.get("/v1/records", params={**WINDOW, "limit": 2, "order": "desc"})
    assert [record["id"] for record in answer.json()["records"]] == ["id2", "id1"]
    cursor = answer.headers["sluice-next-cursor"]
    assert cursor == answer.json()["next_cursor"]
    assert answer.headers["link"] == f'</v1/records?limit=2&order=desc&cursor={cursor}>; rel="next"'
    assert answer.json()["poll_after"] == 0
    last = client.get(answer.links["next"]["url"])
    assert [record["id"] for record in last.json()["records"]] == ["id0"]
    assert last.json()["next_cursor"] is None
    assert not {"link", "sluice-next-cursor"} & set(last.headers)
    assert last.json()["window"] == WINDOW


@pytest.mark.above_the_stores
@pytest.mark.parametrize(
    "path",
    [
        f"/v1/records?since={SINCE}&until={UNTIL}&limit=2",
        f"/v1/records?since={SINCE}&until={UNTIL}&format=ndjson",
        "/v1/records/id1",
        "/v1/records/id1?versions=all",
        f"/v1/rejects?since={SINCE}&until={UNTIL}",
        f"/v1/records/stats?since={SINCE}&until={UNTIL}&by=source&metric=count,max:delay",
        "/v1/records/stats?since=now&by=source",
        "/v1/problems",
    ],
)
def test_head_answers_as_get_does_without_the_body(service: Service, path: str) -> None:
    """Every header is the same, the length included; only how long it took is another."""
    client, other = service.client(), Service(service.engine, service.store).client()  # whose cache is empty, too
    got, head = client.get(path), other.head(path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert lasting_headers(head) == lasting_headers(got)
    assert int(head.headers["content-length"]) == len(got.content)


@pytest.mark.above_the_stores
def test_without_its_table_the_service_has_a_problem(engine: Engine) -> None:
    """What somebody dropped gives a problem document that names no table, on the feed and by id."""
    store = engine.loop.run(engine.open([RECORDS, REJECTS]))
    client = Service(engine, store).client()
    assert client.get("/v1/records").status_code == 200
    engine.loop.run(store.drop(RECORDS))
    assert isinstance(store.clock, FakeClock)
    engine.loop.run(store.clock.advance(2 * store.runner.profile.open_ttl_s))  # until what was answered is forgotten
    for path in ("/v1/records", "/v1/records/a", "/v1/records/a?versions=all"):
        answer = client.get(path)
        assert problem_of(answer)["code"] == "store_unavailable"
        assert int(answer.headers["retry-after"]) > 0
    assert client.get("/v1/rejects").status_code == 200
    engine.loop.run(store.close())


@pytest.mark.above_the_stores
def test_a_latest_page_shows_what_is_not_settled_yet(service: Service) -> None:
    """Up to what the clocks of other instances may have stamped; the settled page does not have it."""
    young_us = service.store.clock.now_us() + SECOND_US
    row = encoded(service.store.appender(RECORDS), default_record("young"), envelope("young"))
    service.engine.loop.run(service.store.put(RECORDS, [(young_us, row)]))
    client = service.client()
    found = {
        freshness: [each["id"] for each in client.get("/v1/records", params={"freshness": freshness}).json()["records"]]
        for freshness in ("settled", "latest")
    }
    assert found == {"settled": ["id0", "id1", "id2"], "latest": ["id0", "id1", "id2", "young"]}
    newest = client.get("/v1/records?freshness=latest&order=desc&limit=1")
    assert [each["id"] for each in newest.json()["records"]] == ["young"]
    assert newest.headers["sluice-cache"] == "bypass"
    assert newest.headers["cache-control"] == "private, no-cache"
    assert "etag" not in newest.headers
