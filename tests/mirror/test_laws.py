"""A mirror answers what its source answers, and takes its cursors."""

import re
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.long_form import examples
from tests.mirror.conftest import Trio

_LAW = settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILTERS = st.sampled_from([{}, {"source": "s1"}, {"data.gte": "5"}, {"id.in": "r1,r2,r4"}, {"heartbeat": "include"}])
FIELDS = st.sampled_from([{}, {"fields": "id,ingest_time"}])


def window(trio: Trio, data: st.DataObject) -> dict[str, str]:
    """Draw a window that is closed for all three."""
    since, until = sorted(data.draw(st.lists(st.sampled_from(trio.instants), min_size=2, max_size=2)))
    return {"since": since, "until": until}


@given(st.data())
@_LAW
def test_a_closed_window_is_the_same_everywhere(trio: Trio, data: st.DataObject) -> None:
    """As pages in any order, exports in any format, statistics, and look-ups by id."""
    ways: Sequence[tuple[str, dict[str, str]]] = [
        ("/v1/records", {"limit": "5", "order": "desc", "count": "exact"}),
        ("/v1/records", {"limit": "7", "format": "csv"}),
        ("/v1/records", {"limit": "all", "format": "ndjson", "end": "true"}),
        ("/v1/records", {"limit": "all", "format": "arrow"}),
        ("/v1/records/stats", {"bucket": "PT1S", "by": "source"}),
    ]
    path, asked = data.draw(st.sampled_from(ways))
    params = window(trio, data) | asked | data.draw(FILTERS) | (data.draw(FIELDS) if "stats" not in path else {})
    source, *mirrors = [each.get(path, params=params) for each in trio.services]
    assert source.status_code == 200, source.text
    assert [each.content for each in mirrors] == [source.content] * 2
    record_id = f"r{data.draw(st.integers(0, 45))}"
    versions = [each.get(f"/v1/records/{record_id}", params={"versions": "all"}) for each in trio.services]
    assert len({(each.status_code, each.content) for each in versions}) == 1


@pytest.mark.parametrize("path", ["/v1/records", "/v1/state"])
@given(data=st.data())
@_LAW
def test_a_walk_may_go_on_at_any_of_them(trio: Trio, path: str, data: st.DataObject) -> None:
    """Each page is asked of another one, with the cursor of the last: the records are those of one alone."""
    asked = {"limit": str(data.draw(st.sampled_from([3, 10, 50])))}
    if path == "/v1/records":
        asked |= {"order": data.draw(st.sampled_from(["asc", "desc"]))} | data.draw(FILTERS)
        whole = window(trio, data)
    else:
        asked |= data.draw(FILTERS.filter(lambda chosen: "heartbeat" not in chosen))
        whole = {"as_of": data.draw(st.sampled_from(trio.instants))}
    walks = []
    for choices in (trio.services[:1], trio.services):
        position, found = whole, list[str]()
        while position:
            http: httpx.Client = data.draw(st.sampled_from(choices), label="service")
            answer = http.get(path, params=position | asked | {"format": "ndjson"})
            assert answer.status_code == 200, answer.text
            found += answer.text.splitlines()
            cursor = answer.headers.get("sluice-next-cursor")
            position = {"cursor": cursor} if cursor else {}
        walks.append(found)
    assert walks[0] == walks[1]


@given(st.data())
@_LAW
def test_a_follower_may_go_on_at_any_of_them(trio: Trio, data: st.DataObject) -> None:
    """With the resume cursor of another one, behind any page: it gets every record once, in the order of the feed."""
    filters = data.draw(FILTERS)
    begin = {"since": trio.instants[0]}
    whole = trio.services[0].get("/v1/records", params=begin | filters | {"limit": "all", "format": "ndjson"})
    position, found, has_more = begin, list[str](), True
    while has_more:
        http: httpx.Client = data.draw(st.sampled_from(trio.services), label="service")
        asked = filters | {"limit": str(data.draw(st.sampled_from([3, 10, 50]))), "format": "ndjson"}
        answer = http.get("/v1/records", params=position | asked)
        assert answer.status_code == 200, answer.text
        found += answer.text.splitlines()
        position, has_more = {"cursor": answer.headers["sluice-resume-cursor"]}, "sluice-next-cursor" in answer.headers
    assert found == whole.text.splitlines()


def test_what_is_erased_is_nowhere(trio: Trio) -> None:
    """Neither its versions, nor its place in the feed; the erasure itself is told by each with the same cursor."""
    for http in trio.services:
        assert http.get("/v1/records/r4").status_code == 404
        assert not re.search('"id":"r(4|11)"', http.get("/v1/records", params={"limit": "all"}).text)
    pages = [each.get("/v1/erasures", params={"limit": 1}).json() for each in trio.services]
    assert len({page["next_cursor"] is None for page in pages}) == 1
    rest = [
        [each.get("/v1/erasures", params={"cursor": page["resume_cursor"]}).json()["records"] for page in pages]
        for each in trio.services
    ]
    assert all(found == rest[0][0] for row in rest for found in row)
    assert len(rest[0][0]) == 2
