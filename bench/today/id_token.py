"""Verify the token of a push as Google's page on it does.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions: the signature, the audience and the times; then
that the e-mail is the subscription's service account, and verified. The page's sample lets google-auth fetch the
issuer's keys for each token, and a comment that goes with copies of it says that for high volumes they are better
fetched once and used with `google.auth.jwt`: that is what is done here, for every request.

The comment goes on that tokens seen before may be remembered, as Pub/Sub sends the same one for up to an hour; its
code does not, but `--remember-tokens` does. That does little for the tutorial, and makes FastAPI 1.7 times as fast: a
signature, 45 µs by itself, is verified without the GIL, and each time that is given up the three threads of
AppendRowsStream run for a single message. Giving it up once, and doing nothing else, cost 110 µs a message.
"""

# What is not in the development group is typed where it is installed, and Any elsewhere.
# mypy: disable-error-code="import-not-found, import-untyped"

import time
from argparse import ArgumentParser, Namespace
from typing import Any

import requests
from google.auth import jwt

from sluice.testing.tokens import ISSUER, PUSHER

_MAX_REMEMBERED = 1_024


class InvalidTokenError(Exception):
    """The token is not accepted; the message says why."""


def add_arguments(parser: ArgumentParser) -> None:
    """Let `parser` take what a Verifier needs."""
    parser.add_argument("--keys-url", required=True, help="where the issuer of tokens has its keys")
    parser.add_argument("--audience", default="sluice", help="whom tokens are for (default: %(default)s)")
    parser.add_argument("--remember-tokens", action="store_true", help="verify each token once")


class Verifier:
    """Verifies tokens with the keys that the issuer has at the start."""

    def __init__(self, options: Namespace) -> None:
        with requests.Session() as session:
            session.trust_env = False  # the address is on this machine: no proxy
            answer = session.get(options.keys_url, timeout=10)
        answer.raise_for_status()
        self._keys: dict[str, str] = answer.json()
        self._audience: str = options.audience
        self._remembers: bool = options.remember_tokens
        self._remembered: dict[str, dict[str, Any]] = {}

    def verify(self, authorization: str | None) -> dict[str, Any]:
        """Return the claims of the token in an Authorization header.

        Raises:
            InvalidTokenError: there is none, or it is not accepted.
        """
        token = (authorization or "").partition(" ")[2]
        if (known := self._remembered.get(token)) is not None and time.time() < known["exp"]:
            return known
        try:
            claims: dict[str, Any] = jwt.decode(token, certs=self._keys, audience=self._audience)
        except ValueError as error:  # google-auth's errors are ValueErrors
            raise InvalidTokenError(str(error)) from error
        if claims.get("iss") != ISSUER or claims.get("email") != PUSHER or not claims.get("email_verified"):
            raise InvalidTokenError("it is not the subscription's")
        if self._remembers:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[token] = claims
        return claims
