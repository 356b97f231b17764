"""The fast path of a push's authentication, `TokenVerifier.remembered`, held against its slow twin, `principal`.

Every table of cases of the slow path goes through the fast one too: it may abstain, and else must say the same.
"""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from app.auth.key_set import COOL_DOWN_S, FetchedKeys, KeySet
from app.auth.tokens import MAX_REMEMBERED_S, TokenPolicy, TokenVerifier
from app.http.problems import ProblemError
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, Service, envelope, running
from sluice.testing.tokens import token
from tests.auth.tokens.forge import NOW, POLICY, Headers, bearer, ready_keys, verifier
from tests.auth.tokens.test_platform import TRUST, marked
from tests.auth.tokens.test_refused import INVALID, UNUSABLE

_GOOD = token(iat=NOW, exp=NOW + 3_600)  # at collection, which may be long before the tests


def fast(checking: TokenVerifier, headers: Headers) -> str | None:
    """Ask the fast path as the push endpoint does."""
    return checking.remembered(headers, dict(headers))


async def outcome(checking: TokenVerifier, headers: Headers) -> str:
    """Return what the slow path says: whose the token is, or the code of the problem."""
    try:
        return await checking.principal(headers)
    except ProblemError as problem:
        return problem.code


async def says_the_same(checking: TokenVerifier, headers: Headers) -> None:
    """Check the law, before the slow path has seen the headers and after it."""
    for _ in range(2):
        try:
            said = fast(checking, headers)
        except ProblemError as problem:
            said = problem.code
        assert said in {None, await outcome(checking, headers)}


async def primed(policy: TokenPolicy = POLICY, now: Callable[[], float] | None = None) -> TokenVerifier:
    """Return a verifier that remembers the good token."""
    checking = await verifier(policy, now)
    await checking.principal(bearer(_GOOD))
    return checking


@pytest.mark.parametrize("headers", [headers for _, headers in UNUSABLE.values()], ids=[*UNUSABLE])
async def test_unusable_headers_are_no_better_for_a_memory(headers: Headers) -> None:
    """A missing, doubled or malformed header, with the token that it holds remembered."""
    checking = await primed()
    for name, value in headers:  # whatever is a good token by itself is remembered
        if name.endswith(b"authorization"):
            await outcome(checking, [(b"authorization", b"Bearer " + value.split(b" ")[-1].split(b"\t")[-1])])
    assert fast(checking, headers) is None
    await says_the_same(checking, headers)


@pytest.mark.parametrize("name", INVALID)
async def test_a_token_that_is_refused_is_never_remembered(name: str) -> None:
    """Asked first, and asked again after the slow path has refused it."""
    checking, headers = await primed(), bearer(INVALID[name][1]())
    assert fast(checking, headers) is None
    await says_the_same(checking, headers)
    assert fast(checking, headers) is None


async def test_any_doubled_header_goes_the_slow_way() -> None:
    """By name only one of them is seen, so the fast path cannot know which."""
    checking = await primed()
    headers = [*bearer(_GOOD), (b"x-forwarded-for", b"1"), (b"x-forwarded-for", b"2")]
    assert fast(checking, headers) is None
    assert await checking.principal(headers) == tokens.PUSHER


async def test_a_remembered_token_expires_on_the_fast_path() -> None:
    """To the second; what the leeway allows is for the slow path."""
    clock, headers = [float(NOW)], bearer(token(exp=NOW + 600))
    checking = await verifier(now=lambda: clock[0])
    await checking.principal(headers)
    clock[0] = NOW + 599.9
    assert fast(checking, headers) == tokens.PUSHER
    clock[0] = NOW + 600.0
    assert fast(checking, headers) is None
    clock[0] = NOW + 611.0
    await says_the_same(checking, headers)


async def test_a_token_is_remembered_for_an_hour_at_most() -> None:
    """However far its expiry; then it is verified again, with the keys there are then."""
    clock, headers = [float(NOW)], bearer(token(exp=NOW + 10 * 86_400))
    checking = await verifier(now=lambda: clock[0])
    await checking.principal(headers)
    clock[0] = NOW + MAX_REMEMBERED_S - 0.1
    assert fast(checking, headers) == tokens.PUSHER
    clock[0] = NOW + MAX_REMEMBERED_S
    assert fast(checking, headers) is None
    await checking.principal(headers)
    assert fast(checking, headers) == tokens.PUSHER


@pytest.mark.parametrize(
    ("newest", "kept"),
    [
        ({tokens.KEY_ID: tokens.key_pair()[1]}, True),
        ({tokens.KEY_ID: tokens.key_pair()[1], "key-2": tokens.key_pair("other")[1]}, True),
        ({"key-2": tokens.key_pair("other")[1]}, False),
        ({tokens.KEY_ID: tokens.key_pair("other")[1]}, False),
        ({"key-2": tokens.key_pair()[1]}, False),
    ],
    ids=["same", "one more", "withdrawn", "another key of the same id", "another id of the same key"],
)
async def test_a_withdrawn_key_takes_its_remembered_tokens_along(newest: Mapping[str, str], *, kept: bool) -> None:
    """As soon as a key set without it is fetched, on both paths, for every verifier that shares the keys."""
    served: list[Mapping[str, str]] = [{tokens.KEY_ID: tokens.key_pair()[1]}]
    clock, headers = FakeClock(), bearer(token(exp=NOW + 86_400))

    async def fetch() -> FetchedKeys:
        return FetchedKeys(served[-1], 3_600.0)

    keys = KeySet(fetch, clock)
    both = TokenVerifier(keys, POLICY), TokenVerifier(keys, POLICY)
    for checking in both:
        await checking.principal(headers)
    served.append(newest)
    await clock.advance(COOL_DOWN_S + 1)
    await keys.find("unknown")  # a token with a new key id has the set fetched
    for checking in both:
        assert (fast(checking, headers) == tokens.PUSHER) == kept
        assert (await outcome(checking, headers) == tokens.PUSHER) == kept


async def test_with_the_platforms_check_nothing_goes_the_fast_way() -> None:
    """Whether the platform has looked at a token depends on another header, which only the slow path reads."""
    checking, headers = await verifier(TRUST), bearer(marked())
    await checking.principal(headers)
    for around in (headers, [*headers, (b"x-serverless-authorization", b"Bearer " + _GOOD.encode())]):
        assert fast(checking, around) is None
        await says_the_same(checking, around)


async def test_a_remembered_push_token_opens_nothing_else() -> None:
    """Each verifier remembers for itself."""
    keys = await ready_keys()
    push, other = TokenVerifier(keys, POLICY), TokenVerifier(keys, msgspec.structs.replace(POLICY, audience="api"))
    await push.principal(bearer(_GOOD))
    assert fast(push, bearer(_GOOD)) == tokens.PUSHER
    assert fast(other, bearer(_GOOD)) is None


async def push_with(service: Service, headers: Headers) -> int:
    """Push one record with these headers and no others; return the status."""
    named = [(name, value) for name, value in headers if name != b"host"]
    request = service.client.build_request("POST", "/pubsub/push", content=envelope(msgspec.json.encode(GOOD)))
    request.headers = type(request.headers)([*request.headers.raw, *named])
    return (await service.client.send(request)).status_code


async def test_the_push_endpoint_refuses_a_remembered_token_that_ran_out_or_was_taken_off() -> None:
    """Expired: 401; off the list: 403; nothing is stored."""
    async with running() as service:
        assert await push_with(service, bearer(_GOOD)) == 204
        checking = service.ingest.push._verifier
        checking._now = lambda: NOW + 7_200.0
        assert await push_with(service, bearer(_GOOD)) == 401
        checking._now = lambda: float(NOW)
        checking._policy = msgspec.structs.replace(checking._policy, principals=frozenset())
        assert await push_with(service, bearer(_GOOD)) == 403
        assert len((await service.client.get("/v1/records")).json()["records"]) == 1
