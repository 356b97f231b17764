"""Personal data: the keyed hash that replaces a value, and the mark of one that is removed. Pure."""

import hmac
import re

MARK = "redacted"
"""Replaces a text that was redacted."""
MIN_SECRET_LENGTH = 32
_PREFIX = "hmac:"
_HASHED = re.compile(r"hmac:[0-9a-f]{64}")


class Hasher:
    """Hashes texts with a secret: equal texts have equal hashes, in every field and stream.

    A hash stays as it is, so that a stored one can be looked up, and a replayed one is not hashed twice.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: str) -> None:
        """Keep the key; it is not shown."""
        self._key = secret.encode()

    def __call__(self, text: str) -> str:
        """Return the hash of a text: `hmac:` and 64 hexadecimal digits (HMAC-SHA-256 of its UTF-8)."""
        if _HASHED.fullmatch(text):
            return text
        return self.of_bytes(text.encode("utf-8", "surrogatepass"))

    def of_bytes(self, data: bytes) -> str:
        """Return the hash of bytes."""
        return _PREFIX + self.digest(data)

    def digest(self, data: bytes) -> str:
        """Return the HMAC-SHA-256 of bytes, as 64 hexadecimal digits."""
        return hmac.digest(self._key, data, "sha256").hex()

    def __repr__(self) -> str:
        """Do not show the key."""
        return "Hasher(…)"


def hasher_of(secret: str) -> Hasher | None:
    """Return the hasher of a secret; None without one."""
    return Hasher(secret) if secret else None
