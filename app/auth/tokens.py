"""Identify the caller by a Google-signed OIDC token, verified here and remembered for a while.

A verified token is remembered until it expires or its key is withdrawn, and for an hour at most.

    missing, repeated or unusable Authorization header  401 missing_token
    bad signature, issuer, audience or times            401 invalid_token
    genuine, but not on the list, or e-mail unverified  403 forbidden
    no keys to verify it with yet                       503 unavailable

Rules: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#validate_tokens.
"""

import re
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

import msgspec
from google.auth import exceptions, jwt

from app.auth.key_set import Key, KeySet, KeySetError
from app.http.problems import ProblemError

PLATFORM_MARKER = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What Cloud Run replaces a signature with once it has checked the token itself."""
_MAX_TOKEN_BYTES = 8_192
# google-auth skips characters outside base64. Here a token has one spelling, or it could be remembered many times.
_COMPACT_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_PLATFORM_HEADER = b"x-serverless-authorization"
_MAX_REMEMBERED, MAX_REMEMBERED_S = 1_024, 3_600.0
_NO_KEY: Key = ("", "")  # for a token whose signature the platform has checked


class Claims(msgspec.Struct, frozen=True):
    """The claims that are checked; a claim of the wrong type makes the token invalid."""

    iss: str
    aud: str
    exp: int
    iat: int
    email: str = ""
    email_verified: bool = False
    nbf: int | None = None


class _Header(msgspec.Struct):
    alg: str
    kid: str


class TokenPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens are accepted. `trust_platform` trusts claims whose signature is exactly the platform's marker.

    `principals` may change: it is consulted for every request.
    """

    issuer: str
    audience: str
    principals: Container[str]
    leeway_s: int
    trust_platform: bool = False


class TokenVerifier:
    """Verifies bearer tokens against one policy. It remembers verified tokens: the next check is a dict look-up."""

    def __init__(self, keys: KeySet, policy: TokenPolicy, now: Callable[[], float] = time.time) -> None:
        self._keys, self._policy, self._now = keys, policy, now
        self._remembered: dict[bytes, tuple[float, str, Key]] = {}
        """By header: when it expires, the caller's e-mail, and the key that verified it.

        A dictionary, as every push looks here: a TLRUCache takes eleven times as long.
        """
        keys.on_replaced(self._forget_all_but)

    async def principal(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the e-mail of the caller.

        Raises:
            ProblemError: missing_token, invalid_token, forbidden or unavailable.
        """
        token = bearer_token(headers)
        if self._policy.trust_platform and any(name == _PLATFORM_HEADER for name, _ in headers):
            # If that header is present, Cloud Run checks it instead and passes Authorization on unchecked.
            raise _invalid("the request has X-Serverless-Authorization too, so the platform has not checked this token")
        usual = b"Bearer " + token.encode()
        caller = self._recall(usual) or await self._learn(token, usual)
        self._check_listed(caller)
        return caller

    def remembered(self, headers: Sequence[tuple[bytes, bytes]], named: Mapping[bytes, bytes]) -> str | None:
        """Return the e-mail of a caller whose token is remembered, the usual case; on None, call `principal`.

        `named` holds the same headers by name; if it has fewer, one is repeated, and the result is None.

        Raises:
            ProblemError: forbidden.
        """
        if len(named) != len(headers) or self._policy.trust_platform:
            return None
        caller = self._recall(named.get(b"authorization", b""))
        if caller is not None:
            self._check_listed(caller)
        return caller

    def _recall(self, header: bytes) -> str | None:
        remembered = self._remembered.get(header)
        return remembered[1] if remembered is not None and self._now() < remembered[0] else None

    async def _learn(self, token: str, header: bytes) -> str:
        claims, key = await self._verified(token)
        self._check(claims)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._forget_expired()
        self._remembered[header] = (min(claims.exp, self._now() + MAX_REMEMBERED_S), claims.email, key)
        return claims.email

    async def _verified(self, token: str) -> tuple[Claims, Key]:
        if not _COMPACT_JWT.fullmatch(token):
            raise _invalid(_MALFORMED)
        try:
            if self._policy.trust_platform and token.rpartition(".")[2] == PLATFORM_MARKER:
                # google-auth requires a base64 signature, though it does not check it here.
                payload, key = jwt.decode(token.removesuffix(PLATFORM_MARKER), verify=False), _NO_KEY
            else:
                header = msgspec.convert(jwt.decode_header(token), _Header)
                if header.alg != "RS256":
                    raise _invalid("its algorithm is not RS256")
                pem = await self._keys.find(header.kid)
                if pem is None:
                    raise _invalid("the issuer has no key with its `kid`")
                key = (header.kid, pem)
                payload = jwt.decode(token, certs={header.kid: pem}, clock_skew_in_seconds=self._policy.leeway_s)
            return msgspec.convert(payload, Claims), key
        except KeySetError as error:
            raise ProblemError(
                "unavailable", f"tokens cannot be verified: {error}", headers={"Retry-After": "5"}
            ) from None
        except msgspec.ValidationError as error:
            raise _invalid(str(error)) from None
        except (exceptions.GoogleAuthError, ValueError, TypeError, RecursionError) as error:
            raise _invalid(_reason(error)) from None

    def _check(self, claims: Claims) -> None:
        policy, now = self._policy, self._now()
        if claims.iss != policy.issuer:
            raise _invalid("its `iss` is not the expected issuer")
        if claims.aud != policy.audience:
            raise _invalid("its `aud` is not this service's audience")
        # jwt.decode has checked the times of a signed token; this covers the platform's, and `nbf`.
        if now > claims.exp + policy.leeway_s:
            raise _invalid("it has expired")
        if now < max(claims.iat, claims.nbf or 0) - policy.leeway_s:
            raise _invalid("it is not valid yet")
        if not claims.email or not claims.email_verified:
            raise ProblemError("forbidden", "it has no verified e-mail")
        self._check_listed(claims.email)

    def _check_listed(self, email: str) -> None:
        if email not in self._policy.principals:
            raise ProblemError("forbidden", f"{email} is not allowed to do this")

    def _forget_all_but(self, keys: Collection[Key]) -> None:
        kept = {token: entry for token, entry in self._remembered.items() if entry[2] == _NO_KEY or entry[2] in keys}
        if len(kept) < len(self._remembered):
            self._remembered = kept

    def _forget_expired(self) -> None:
        now = self._now()
        alive = {token: entry for token, entry in self._remembered.items() if now < entry[0]}
        self._remembered = alive if len(alive) < _MAX_REMEMBERED else {}


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the token of the one `Authorization: Bearer` header.

    Raises:
        ProblemError: missing_token.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise ProblemError("missing_token", "the request has no Authorization header")
    if len(values) > 1:
        raise ProblemError("missing_token", "the request has more than one Authorization header")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer" or not token or len(token) > _MAX_TOKEN_BYTES or not token.isascii():
        raise ProblemError("missing_token", "expected `Authorization: Bearer` and a token")
    return token.decode("ascii")


_MALFORMED = "it is not a well-formed JWT"


def _invalid(reason: str) -> ProblemError:
    return ProblemError("invalid_token", f"the token is not valid: {reason}")


def _reason(error: Exception) -> str:
    """Return the reason without a byte of the token: google-auth's messages quote what they could not parse."""
    text = str(error)
    known: Collection[tuple[str, str]] = (
        ("Could not verify", "its signature does not match"),
        ("too early", "it is not valid yet"),
        ("expired", "it has expired"),
    )
    return next((reason for sign, reason in known if sign in text), _MALFORMED)
