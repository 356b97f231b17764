"""An issuer whose keys rotate and whose tokens expire soon."""

import time

from google.auth import crypt, jwt

from sluice.testing import tokens

MAX_AGE_S = 60
"""How long the service may keep a key set."""
AHEAD_S = MAX_AGE_S + 15.0
"""How long a key is published before it signs."""


class RotatingIssuer:
    """Signs with one key for `every_s` seconds, then with the next; a token is good for `lifetime_s`.

    A key is published ahead of its use and withdrawn once the last token that it signed has expired.
    """

    def __init__(self, *, every_s: float, lifetime_s: float) -> None:
        self._every_s, self._lifetime_s = max(every_s, AHEAD_S), lifetime_s
        self._begun_s, self._token, self._mint_at_s = time.monotonic(), "", 0.0

    @property
    def rotations(self) -> int:
        """How many keys have signed before this one."""
        return int((time.monotonic() - self._begun_s) / self._every_s)

    def certs(self) -> dict[str, str]:
        """Return the key set: the last, the present and the next key."""
        return {
            name: tokens.key_pair(name)[1] for name in map(self._name, range(self.rotations - 1, self.rotations + 2))
        }

    def token(self) -> str:
        """Return a token for pushes that is good for half of its lifetime at least."""
        now_s = time.monotonic()
        if now_s >= self._mint_at_s:
            name = self._name(self.rotations)
            signer = crypt.RSASigner.from_string(tokens.key_pair(name)[0], name)
            claims = tokens.claims(exp=int(time.time() + self._lifetime_s))
            self._token = str(jwt.encode(signer, claims).decode())
            self._mint_at_s = now_s + self._lifetime_s / 2
        return self._token

    def _name(self, number: int) -> str:
        return f"soak-{number % 4}"
