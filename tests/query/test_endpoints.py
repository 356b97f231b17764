"""The feeds over HTTP: exact answers, headers, HEAD, and errors."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from app.clock import SystemClock
from app.errors import CATALOGUE
from app.query.cursor import Cursor, Position, encode_cursor
from app.query.instants import DAY_US, MAX_US, MIN_US
from tests.query.service import SINCE, UNTIL, WINDOW, Client, Service, problem_of
from tests.query.shelf import REJECTS, T0_US, envelope


def _expected_record(number: int) -> dict[str, Any]:
    return {
        "id": f"id{number}",
        "timestamp": "2026-01-01T00:00:00Z",
        "source": None,
        "data": {"n": 1},
        **envelope(f"k{number}"),
        "ingest_time": f"2023-11-14T22:13:20.0000{10 * number:02}Z" if number else SINCE,
    }


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
    assert dict(answer.headers) == {
        "content-type": "application/json",
        "content-length": str(len(answer.content)),
        "cache-control": "private, no-store",
        "vary": "Accept",
        "sluice-resume-cursor": answer.json()["resume_cursor"],
    }


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


def test_links_lead_through_all_pages(client: Client) -> None:
    """Following nothing but `Link` ends, and gives every record once."""
    answer = client.get("/v1/records", params={**WINDOW, "limit": 1})
    found = answer.json()["records"]
    while "next" in answer.links:
        answer = client.get(answer.links["next"]["url"])
        found += answer.json()["records"]
    assert [record["id"] for record in found] == ["id0", "id1", "id2"]


def test_behind_a_path_prefix_the_link_has_it_too(service: Service) -> None:
    """The URL that a client follows is the one it can reach."""
    with TestClient(service.app, root_path="/sluice") as client:
        answer = client.get("/v1/records", params={**WINDOW, "limit": 2})
        assert answer.headers["link"].startswith("</sluice/v1/records?limit=2&cursor=")


def test_following_shows_what_is_new_and_when_to_come_back(service: Service, client: Client) -> None:
    """The resume cursor gives a later record, then an empty page that asks to wait."""
    first = client.get("/v1/records", params={"since": SINCE}).json()
    assert len(first["records"]) == 3
    service.put_record(T0_US + 500, "k9", "id9")
    second = client.get("/v1/records", params={"cursor": first["resume_cursor"]}).json()
    assert [record["id"] for record in second["records"]] == ["id9"]
    third = client.get("/v1/records", params={"cursor": second["resume_cursor"]}).json()
    assert (third["records"], third["poll_after"]) == ([], 1)


def test_ndjson_has_the_records_alone_and_the_cursors_in_headers(client: Client) -> None:
    """By parameter or by Accept, and either pages as JSON does."""
    for asked in ({"params": {"format": "ndjson"}}, {"headers": {"accept": "application/x-ndjson"}}):
        params = {**WINDOW, "limit": "2", **asked.get("params", {})}
        answer = client.get("/v1/records", params=params, headers=asked.get("headers"))
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert [msgspec.json.decode(line) for line in answer.content.splitlines()] == [
            _expected_record(0),
            _expected_record(1),
        ]
        rest = client.get("/v1/records", params={"cursor": answer.headers["sluice-next-cursor"]})
        assert [record["id"] for record in rest.json()["records"]] == ["id2"]


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/records?since={SINCE}&until={UNTIL}&limit=2",
        f"/v1/records?since={SINCE}&until={UNTIL}&format=ndjson",
        "/v1/records/id1",
        "/v1/records/id1?versions=all",
        f"/v1/rejects?since={SINCE}&until={UNTIL}",
        "/v1/problems",
    ],
)
def test_head_answers_as_get_does_without_the_body(client: Client, path: str) -> None:
    """Every header is the same, the length included."""
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert dict(head.headers) == dict(got.headers)
    assert int(head.headers["content-length"]) == len(got.content)


def test_a_future_since_gives_an_empty_page_that_resumes_there(client: Client) -> None:
    """Nothing before it is ever shown."""
    answer = client.get("/v1/records", params={"since": "2030-01-01T00:00:00Z"}).json()
    assert (answer["records"], answer["next_cursor"], answer["poll_after"]) == ([], None, 1)
    assert answer["window"] == {"since": "2030-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"}
    again = client.get("/v1/records", params={"cursor": answer["resume_cursor"]}).json()
    assert (again["records"], again["resume_cursor"]) == ([], answer["resume_cursor"])


def test_an_unknown_parameter_is_a_problem_document(client: Client) -> None:
    """With the known parameters, and the one that was probably meant."""
    problem = problem_of(client.get("/v1/records", params={"limt": 5}))
    message = (
        "there is no such parameter; did you mean limit? The parameters are since, until, cursor, limit, order, format"
    )
    assert problem == {
        "type": "/v1/problems#invalid_parameter",
        "title": "A parameter or header is not valid",
        "status": 400,
        "code": "invalid_parameter",
        "detail": f"limt: {message}",
        "errors": [{"name": "limt", "message": message}],
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_parameter"),
        ("since=%00", "invalid_parameter"),
        ("cursor=", "invalid_cursor"),
        ("cursor=abc", "invalid_cursor"),
        ("cursor=%FF%00", "invalid_cursor"),
        ("%FF=1", "invalid_parameter"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/records", "/v1/rejects"])
def test_bad_requests_are_told_apart_by_code(client: Client, path: str, query: str, code: str) -> None:
    """Parameters and cursors have problems of their own, on both feeds."""
    assert problem_of(client.get(f"{path}?{query}"))["code"] == code


def test_a_cursor_of_the_other_feed_is_refused(client: Client) -> None:
    """A position among records means nothing among rejects."""
    cursor = client.get("/v1/records").json()["resume_cursor"]
    problem = problem_of(client.get("/v1/rejects", params={"cursor": cursor}))
    assert (problem["code"], problem["detail"]) == ("invalid_cursor", "the cursor came from another endpoint")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    since_us=st.integers(MIN_US, MAX_US) | st.integers(T0_US - DAY_US, T0_US + DAY_US),
    length_us=st.none() | st.integers(0, 40 * DAY_US),
    position=st.none() | st.tuples(st.integers(0, DAY_US), st.text(max_size=5)),
    descending=st.booleans(),
)
def test_forged_cursors_never_break_the_service(
    client: Client, since_us: int, length_us: int | None, position: tuple[int, str] | None, *, descending: bool
) -> None:
    """Whatever numbers a cursor holds, it is served or refused."""
    cursor = Cursor(
        table="records",
        descending=descending,
        since_us=since_us,
        until_us=None if length_us is None else since_us + length_us,
        after=None if position is None else Position(since_us + position[0], position[1]),
    )
    answer = client.get("/v1/records", params={"cursor": encode_cursor(cursor)})
    if answer.status_code != 200:
        assert problem_of(answer)["code"] == "invalid_cursor"


_EDGES = st.sampled_from([0, T0_US, MIN_US, MAX_US, -(2**63), 2**63 - 1, 2**64 - 1])
_NUMBERS = st.builds(lambda edge, by: min(max(edge + by, -(2**63)), 2**64 - 1), _EDGES, st.integers(-3, 3))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    since_us=_NUMBERS,
    until_us=st.none() | _NUMBERS,
    position=st.none() | st.builds(Position, _NUMBERS, st.text(max_size=5)),
    descending=st.booleans(),
)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=None, descending=True)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=Position(MAX_US, "k"), descending=True)
@example(since_us=MAX_US - DAY_US, until_us=MAX_US + 1, position=Position(MAX_US, "k"), descending=False)
def test_a_cursor_of_any_numbers_is_served_or_refused(
    client: Client, since_us: int, until_us: int | None, position: Position | None, *, descending: bool
) -> None:
    """At the ends of time and of the integers, too, the answer is 200 or 400."""
    cursor = Cursor(table="records", descending=descending, since_us=since_us, until_us=until_us, after=position)
    answer = client.get("/v1/records", params={"cursor": encode_cursor(cursor)})
    if answer.status_code != 200:
        assert problem_of(answer)["code"] == "invalid_cursor"


@pytest.mark.parametrize("clock", [None, SystemClock()], ids=["fake", "system"])
def test_the_longest_window_may_be_asked_for_as_a_duration(service: Service, clock: SystemClock | None) -> None:
    """The clock moves between its readings; the window is 31 days all the same, and its pages go on."""
    if clock is not None:
        service = Service(clock=clock)
    with TestClient(service.app) as client:
        answer = client.get("/v1/records?since=-P31D&limit=1")
        assert answer.status_code == 200
        since, until = (datetime.fromisoformat(answer.json()["window"][edge]) for edge in ("since", "until"))
        assert until - since == timedelta(days=31)
        if answer.json()["next_cursor"]:
            assert client.get(answer.links["next"]["url"]).status_code == 200
        assert problem_of(client.get("/v1/records?since=-P31DT0.000001S"))["max_window_days"] == 31
    if clock is not None:
        service.store.close()


@pytest.mark.parametrize("path", ["/v1/records", "/v1/records/id1", "/v1/problems"])
def test_a_query_of_thousands_of_parameters_gets_a_small_answer(client: Client, path: str) -> None:
    """What is wrong is said of the first few, in few words each."""
    query = "&".join(f"{number:x}{'limit' * 30}=1" for number in range(300))
    problem = problem_of(client.get(f"{path}?{query}"))
    assert len(problem["errors"]) == 20
    assert max(len(error["name"]) for error in problem["errors"]) == 100
    assert len(problem["detail"]) < 1_500


def test_rejects_are_paged_like_records(service: Service, client: Client) -> None:
    """With the reason, the field and the bytes in base64."""
    rejected = REJECTS.record_type
    for number in range(2):
        reject = rejected(reason="invalid", detail="expected int", field="n", payload=b"\xff{}", part=number, parts=2)
        service.put(REJECTS, T0_US + number, f"r{number}", reject)
    page = client.get("/v1/rejects", params={**WINDOW, "limit": 1}).json()
    (row,) = page["records"]
    assert row == {
        "reason": "invalid",
        "detail": "expected int",
        "field": "n",
        "payload": "/3t9",
        "part": 0,
        "parts": 2,
        **envelope("r0"),
        "ingest_time": SINCE,
    }
    rest = client.get("/v1/rejects", params={"cursor": page["next_cursor"]}).json()
    assert [row["part"] for row in rest["records"]] == [1]


def test_the_catalogue_of_problems_is_served(client: Client) -> None:
    """Every code with its status, its title and what to do about it."""
    answer = client.get("/v1/problems")
    assert answer.json() == {
        "problems": [
            {
                "type": f"/v1/problems#{code}",
                "code": code,
                "status": kind.status,
                "title": kind.title,
                "advice": kind.advice,
            }
            for code, kind in CATALOGUE.items()
        ]
    }
    assert problem_of(client.get("/v1/problems?code=busy"))["code"] == "invalid_parameter"
