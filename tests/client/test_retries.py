"""When the client asks again, and when it pauses before that."""

from datetime import UTC, datetime

import httpx
import pytest

from sluice_client import Client
from sluice_client.errors import ProblemError, ResponseError, UnreachableError
from sluice_client.protocol.effects import Broken, Reply
from sluice_client.protocol.rate_limit import exhausted_for_s, retry_after_s
from sluice_client.protocol.retry import Again, Refused, RetryPolicy, decide
from tests.client.scripted import page, problem, scripted

POLICY = RetryPolicy()


@pytest.mark.parametrize(
    ("outcome", "attempt", "pause_s"),
    [
        (Reply(429, {"retry-after": "37"}), 0, 38),
        (Reply(503, {}), 3, 8),
        (Reply(500, {}), 10, 60),
        (Reply(400, {}, b'{"code":"incomplete_body"}'), 0, 1),
        (Reply(503, {}, b'{"code":"draining"}'), 0, 0),
        (Reply(503, {}, b'{"code":"draining"}'), 1, 2),
        (Broken("cut"), 1, 2),
    ],
)
def test_what_passes_is_asked_again(outcome: Reply | Broken, attempt: int, pause_s: float) -> None:
    """With full jitter below a bound that doubles, after what the service asks for."""
    decided = decide(outcome, attempt, POLICY, lambda bound_s: bound_s)
    assert isinstance(decided, Again)
    assert decided.pause_s == pause_s
    spared = decide(outcome, attempt, POLICY, lambda _: 0.0)
    assert isinstance(spared, Again)
    assert spared.pause_s == retry_after_s(outcome.headers if isinstance(outcome, Reply) else {})


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 413, 422, 501])
def test_what_stays_is_an_error(status: int) -> None:
    """With the service's text, or the beginning of whatever was sent instead."""
    client, script = scripted(problem(status, "some_code", errors=[{"name": "since", "message": "is wrong"}]))
    with pytest.raises(
        ProblemError, match=f"{status} some_code: some_code: about some_code: since: is wrong"
    ) as caught:
        list(client.walk())
    assert caught.value.problem.members["detail"] == "about some_code"
    assert (len(script.requests), script.pauses) == (1, [])
    client, _ = scripted(httpx.Response(status, text="<html>\n  Go away"))
    with pytest.raises(ProblemError, match=f"{status}: the answer is not a problem document: <html> Go away"):
        list(client.walk())


def test_success_and_permanent_failures_are_not_repeated() -> None:
    """An unknown host stays unknown."""
    good = Reply(204, {})
    assert decide(good, 5, POLICY, lambda _: 1.0) is good
    assert isinstance(decide(Broken("unknown host", is_permanent=True), 0, POLICY, lambda _: 0.0), Refused)


def test_patience_ends() -> None:
    """The pauses of one request sum up to no more than the policy allows; a success begins a new sum."""
    busy = [problem(429, "busy", headers={"Retry-After": "40"})] * 2
    client, script = scripted(*busy, page("a", next_cursor="c"), *busy, page("b"), retry=RetryPolicy(100))
    assert [record["id"] for record in client.walk()] == ["a", "b"]
    assert len(script.pauses) == 4
    client, script = scripted(*busy, *busy, retry=RetryPolicy(100))
    with pytest.raises(UnreachableError, match="abandoned after 3 attempts: 429 busy"):
        list(client.walk())
    assert script.reasons == ["429 busy: busy: about busy"] * 2


def test_a_follower_outlasts_any_outage() -> None:
    """By default its patience has no end."""
    answers = [httpx.ConnectError("refused")] * 500
    client, script = scripted(*answers, page("a", poll_after=1))
    assert len(list(client.follow(until_caught_up=True))) == 1
    assert len(script.pauses) == 500
    assert max(script.pauses) <= 60


def test_an_empty_quota_is_waited_for() -> None:
    """The next request is sent when there is something left, and not refused first."""
    client, script = scripted(
        page("a", next_cursor="c", RateLimit='"default";r=0;t=37'),
        page("b", next_cursor="d", RateLimit='"default";r=1;t=36'),
        page("c"),
    )
    assert len(list(client.walk())) == 3
    assert script.pauses == [37]


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ('"default";r=1199;t=37', 0),
        ('"default";r=0;t=37', 37),
        ('"default";r=5;t=37, "daily";r=0;t=1207', 1207),
        ('"a;r=0;t=5,b";r=2;t=5', 0),
    ],
)
def test_rate_limits_are_read(header: str, pause_s: float) -> None:
    """Of several entries, the one that takes longest counts."""
    assert exhausted_for_s({"ratelimit": header}) == pause_s


@pytest.mark.parametrize(
    ("value", "pause_s"),
    [
        ("37", 37),
        ("soon", 0),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
    ],
)
def test_retry_after_has_two_forms(value: str, pause_s: float) -> None:
    """Seconds, or a date."""
    assert retry_after_s({"retry-after": value}, datetime(2026, 1, 31, 12, tzinfo=UTC)) == pause_s


@pytest.mark.parametrize("token", ["secret\n", "secr\u00e9t", "sec\0ret"])
def test_a_token_that_no_header_carries_is_not_shown(token: str) -> None:
    """The library's own error would have it in its text."""
    client = Client("http://service", token=token, transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(ValueError, match="the token has a character") as caught:
        list(client.walk())
    assert "sec" not in str(caught.value)


def test_a_token_is_asked_for_each_request() -> None:
    """ID tokens expire within the hour."""
    tokens = iter(["one", "two"])
    seen = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(404)

    client = Client("http://service", token=lambda: next(tokens), transport=httpx.MockTransport(answer))
    for _ in range(2):
        with pytest.raises(ProblemError):
            list(client.walk())
    assert seen == ["Bearer one", "Bearer two"]


def test_an_answer_of_something_else_is_an_error() -> None:
    """A page of another program is not taken for an empty one."""
    for text in ("<html>", "{}", '{"records": 1}'):
        client, _ = scripted(httpx.Response(200, text=text))
        with pytest.raises(ResponseError, match="is not a page of records"):
            list(client.walk())
