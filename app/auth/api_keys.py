"""API keys: their format, how to create one, and the hash that is stored. Pure except for the randomness.

A key is 256 random bits, so one pass of SHA-256 is enough to store it safely: slow hashes are for passwords, which
can be guessed. Keys are looked up by that hash and never compared directly, so timing can leak at most a hash. A
leaked hash does not reveal the key, as SHA-256 cannot be inverted.
"""

import hashlib
import re
import secrets

PREFIX = "sluice_"
_RANDOM_BYTES = 32  # 43 characters of base64url
_LIKE_A_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{8,}")


def new_key() -> str:
    """Return a new key: `sluice_` and 43 characters of base64url."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_key(token: str) -> bool:
    """Return whether a bearer token is meant as an API key; a JWT never is, as it begins with the base64url of `{`."""
    return token.startswith(PREFIX)


def key_hash(key: str) -> str:
    """Return the hash under which a key is stored: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def redacted(text: str) -> str:
    """Return `text` with anything that looks like a key masked, for messages that may be pasted elsewhere."""
    return _LIKE_A_KEY.sub(f"{PREFIX}…", text)
