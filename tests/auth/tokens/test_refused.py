import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from app.auth.key_set import FetchedKeys, KeySet, KeySetError
from app.auth.tokens import PLATFORM_MARKER, TokenVerifier
from app.http.problems import ProblemError
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from sluice.testing.tokens import claims, token
from tests.auth.tokens.forge import GOOD_HEADER, NOW, POLICY, Headers, bearer, hmac_signed, part, refusal, signed

_PUBLIC_PEM = tokens.key_pair()[1].encode()
_OF_ANOTHER = "a key of somebody else"


def _header(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD_HEADER, **changed}.items() if value is not None}


def _payload(**changed: Any) -> str:
    return signed(payload=claims(**changed))


def _tampered() -> str:
    header, _, signature = token().split(".")
    return f"{header}.{part(claims(email='boss@project.iam.gserviceaccount.com'))}.{signature}"


_NO_HEADER = "the request has no Authorization header"
_SEVERAL = "the request has more than one Authorization header"
_NO_BEARER = "expected `Authorization: Bearer` and a token"

UNUSABLE: dict[str, tuple[str, Headers]] = {
    "no_header": (_NO_HEADER, []),
    "two_headers": (_SEVERAL, [(b"authorization", b"Bearer " + token().encode())] * 2),
    "a_second_empty_header": (
        _SEVERAL,
        [(b"authorization", b"Bearer " + token().encode()), (b"authorization", b"")],
    ),
    "empty_token": (_NO_BEARER, [(b"authorization", b"Bearer ")]),
    "no_scheme": (_NO_BEARER, [(b"authorization", token().encode())]),
    "tab": (_NO_BEARER, [(b"authorization", b"bearer\t" + token().encode())]),
    "too_long": (_NO_BEARER, [(b"authorization", b"Bearer " + b"a" * 8_193)]),
    "unicode": (_NO_BEARER, [(b"authorization", f"Bearer {token()}é".encode())]),
    "not_text": (_NO_BEARER, [(b"authorization", b"Bearer \xff\xfe")]),
}


@pytest.mark.parametrize(("reason", "headers"), UNUSABLE.values(), ids=[*UNUSABLE])
async def test_a_request_without_one_usable_token_is_401(reason: str, headers: Headers) -> None:
    """Anything but one Authorization header with one bearer token is refused before a token is looked at."""
    problem = await refusal(headers)
    assert (problem.code, problem.status, problem.detail) == ("missing_token", 401, reason)
    assert problem.response_headers()["WWW-Authenticate"].startswith("Bearer")


_ALGORITHM = "its algorithm is not RS256"
_SIGNATURE = "its signature does not match"
_NO_KEY = "the issuer has no key with its `kid`"
_AUDIENCE = "its `aud` is not this service's audience"
_ISSUER = "its `iss` is not the expected issuer"
_EXPIRED = "it has expired"
_EARLY = "it is not valid yet"
_MALFORMED = "it is not a well-formed JWT"

INVALID: dict[str, tuple[str, Callable[[], str]]] = {
    "alg_none_unsigned": (_ALGORITHM, lambda: f"{part(_header(alg='none'))}.{part(claims())}."),
    "alg_list": ("Expected `str`, got `array` - at `$.alg`", lambda: signed(_header(alg=["RS256"]))),
    "hs256_with_the_public_key": (_ALGORITHM, lambda: hmac_signed(_header(alg="HS256"), _PUBLIC_PEM)),
    "hs256_said_to_be_rs256": (_SIGNATURE, lambda: hmac_signed(GOOD_HEADER, _PUBLIC_PEM)),
    "rs384_said_to_be_rs256": (_SIGNATURE, lambda: signed(algorithm=hashes.SHA384())),
    "es256": (_ALGORITHM, lambda: signed(_header(alg="ES256"))),
    "unsigned": (_SIGNATURE, lambda: f"{part(GOOD_HEADER)}.{part(claims())}."),
    "marker_signature": (_SIGNATURE, lambda: f"{part(GOOD_HEADER)}.{part(claims())}.{PLATFORM_MARKER}"),
    "signed_by_another_key": (_SIGNATURE, lambda: signed(key=_OF_ANOTHER)),
    "tampered_payload": (_SIGNATURE, _tampered),
    "signature_of_another_token": (
        _SIGNATURE,
        lambda: f"{part(GOOD_HEADER)}.{part(claims())}.{token(aud='x').split('.')[2]}",
    ),
    "kid_unknown": (_NO_KEY, lambda: signed(_header(kid="key-2"))),
    "kid_missing": ("Object missing required field `kid`", lambda: signed(_header(kid=None))),
    "key_in_header": (
        "Object missing required field `kid`",
        lambda: signed(_header(kid=None, jwk={"kty": "RSA"}, x5c=[tokens.key_pair(_OF_ANOTHER)[1]]), key=_OF_ANOTHER),
    ),
    "aud_wrong": (_AUDIENCE, lambda: _payload(aud="another service")),
    "aud_longer": (_AUDIENCE, lambda: _payload(aud=f"{tokens.AUDIENCE}/")),
    "iss_longer": (_ISSUER, lambda: _payload(iss=f"{tokens.ISSUER}.example")),
    "expired_beyond_leeway": (_EXPIRED, lambda: _payload(iat=NOW - 3_600, exp=NOW - 12)),
    "exp_missing": (_MALFORMED, lambda: _payload(exp=None)),
    "exp_nan": (
        "Expected `int`, got `float` - at `$.exp`",
        lambda: signed(payload=json.dumps(claims(exp=float("nan"))).encode()),
    ),
    "exp_digits": (
        _MALFORMED,
        lambda: signed(payload=json.dumps(claims()).replace(str(NOW)[:4], "9" * 4_400, 1).encode()),
    ),
    "iat_in_the_future": (_EARLY, lambda: _payload(iat=NOW + 60, exp=NOW + 3_600)),
    "nbf_in_the_future": (_EARLY, lambda: _payload(nbf=NOW + 60)),
    "email_list": ("Expected `str`, got `array` - at `$.email`", lambda: _payload(email=[tokens.PUSHER])),
    "email_verified_text": (
        "Expected `bool`, got `str` - at `$.email_verified`",
        lambda: _payload(email_verified="true"),
    ),
    "two_segments": (_MALFORMED, lambda: ".".join(token().split(".")[:2])),
    "four_segments": (_MALFORMED, lambda: f"{token()}.{token().split('.')[2]}"),
    "not_base64": (_MALFORMED, lambda: "!!!.???.***"),
    "not_utf8": (_MALFORMED, lambda: signed(payload=b"\xff\xfe")),
    "header_list": (_MALFORMED, lambda: signed([GOOD_HEADER])),
    "header_deep": (_MALFORMED, lambda: signed(b"[" * 3_000)),
    "encrypted": (_MALFORMED, lambda: f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d"),
    "line_break_inside": (_MALFORMED, lambda: token().replace(".", ".\n")),
    "padded": (_MALFORMED, lambda: f"{token()}=="),
    "standard_base64": (_MALFORMED, lambda: f"{token()[:-4]}+/+/"),
}


@pytest.mark.parametrize("name", INVALID)
async def test_a_token_that_is_not_the_issuers_for_us_is_401(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every forgery, misdirected or stale token is refused, without a byte of it in the answer or the log."""
    reason, make = INVALID[name]
    made = make()
    with caplog.at_level(logging.DEBUG):
        problem = await refusal(bearer(made))
    assert (problem.code, problem.status) == ("invalid_token", 401)
    assert problem.detail == f"the token is not valid: {reason}"
    assert problem.__context__ is None or problem.__suppress_context__
    told = problem.body().decode() + caplog.text + repr(problem.response_headers())
    for segment in made.replace("\n", ".").split("."):
        pieces = [segment[start : start + 12] for start in range(0, len(segment) - 11, 4)]
        assert not [piece for piece in pieces if piece in told]
    assert "Traceback" not in told
    assert not caplog.records


_OTHERS: dict[str, dict[str, Any]] = {
    "stranger": {"email": "stranger@project.iam.gserviceaccount.com"},
    "upper_case": {"email": tokens.PUSHER.upper()},
    "space": {"email": f"{tokens.PUSHER} "},
    "homoglyph": {"email": tokens.PUSHER.replace("e", "\u0435")},
}
_UNVERIFIED: dict[str, dict[str, Any]] = {
    "missing": {"email": None},
    "empty": {"email": ""},
    "unverified": {"email_verified": False},
    "verified_missing": {"email_verified": None},
}


@pytest.mark.parametrize("changed", _OTHERS.values(), ids=[*_OTHERS])
async def test_a_genuine_token_of_somebody_else_is_403(changed: dict[str, Any]) -> None:
    """A token that the issuer did sign for us is not enough: its e-mail must be on the list."""
    problem = await refusal(bearer(_payload(**changed)))
    assert (problem.code, problem.status) == ("forbidden", 403)
    assert problem.detail == f"{changed['email']} is not allowed to do this"


@pytest.mark.parametrize("changed", _UNVERIFIED.values(), ids=[*_UNVERIFIED])
async def test_an_e_mail_that_the_issuer_does_not_vouch_for_is_403(changed: dict[str, Any]) -> None:
    """Even when it is on the list: without `email_verified` its owner is unknown."""
    problem = await refusal(bearer(_payload(**changed)))
    assert (problem.code, problem.status, problem.detail) == ("forbidden", 403, "it has no verified e-mail")


async def test_without_any_keys_the_answer_is_503() -> None:
    """While no key set could be fetched nobody is let in, and the caller is told to come again."""

    async def fails() -> FetchedKeys:
        raise KeySetError("https://issuer.test: unreachable")

    checking = TokenVerifier(KeySet(fails, FakeClock()), POLICY)
    with pytest.raises(ProblemError) as refused:
        await checking.principal(bearer(token()))
    assert (refused.value.code, refused.value.status) == ("unavailable", 503)
    assert refused.value.detail == "tokens cannot be verified: the key set has not been fetched yet"
    assert refused.value.response_headers()["Retry-After"] == "5"
