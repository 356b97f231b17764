"""Resolve the headers of a request to its Principal, by a Google-signed token or an API key."""

from collections.abc import Iterable
from datetime import UTC, datetime

from app.auth.api_keys import is_key, key_hash
from app.auth.grants import Granted
from app.auth.grants_file import GrantsReloader
from app.auth.principal import Principal
from app.auth.tokens import TokenVerifier, bearer_token
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock

_Headers = Iterable[tuple[bytes, bytes]]


class Callers:
    """Identifies callers. Grants are checked on every request, so a removed grant also stops tokens that are valid.

    The principals of `verifier` must be these `grants`.
    """

    def __init__(self, verifier: TokenVerifier, grants: GrantsReloader, clock: Clock) -> None:
        self._verifier, self._grants, self._clock = verifier, grants, clock

    async def principal(self, headers: _Headers) -> Principal:
        """Return who sent a request with `headers`.

        Raises:
            ProblemError: missing_token, invalid_token, forbidden or unavailable.
        """
        token = bearer_token(headers)
        if is_key(token):
            granted = self._grants.current.by_key.get(key_hash(token))
            if granted is None:
                raise ProblemError(
                    "invalid_token", "the API key is unknown: it is mistyped, was revoked, or never existed"
                )
            if self._is_over(granted):
                raise ProblemError("invalid_token", f"the API key of {_ended(granted)}")
            return granted.principal
        email = await self._verifier.principal(headers)
        granted = self._grants.current.by_email[email]  # just checked, and nothing has run since
        if self._is_over(granted):
            raise ProblemError("forbidden", f"the grant of {_ended(granted)}")
        return granted.principal

    def _is_over(self, granted: Granted) -> bool:
        return granted.expires_us is not None and self._clock.now_us() >= granted.expires_us


def _ended(granted: Granted) -> str:
    ended = datetime.fromtimestamp((granted.expires_us or 0) / MICROSECONDS, UTC)
    return f"{granted.principal.name} expired at {ended:%Y-%m-%dT%H:%M:%SZ}"
