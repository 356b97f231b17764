"""When the client asks again, and when it pauses before that."""

from datetime import UTC, datetime

import httpx
import pytest

from sluice_client import Client
from sluice_client.errors import ProblemError, UnreachableError
from sluice_client.protocol.effects import Broken, Reply
from sluice_client.protocol.rate_limit import retry_after_s
from sluice_client.protocol.retry import Again, RetryPolicy, decide
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


@pytest.mark.parametrize("status", [301, 400, 403, 422, 501])
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
