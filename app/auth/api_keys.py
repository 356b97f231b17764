"""API keys: what one looks like, how one is made, and what is kept of it. Pure, but for the randomness.

A key is 256 random bits, so one pass of SHA-256 is enough to keep it by: slow hashes are for passwords, which can
be guessed. Keys are looked up by that hash, and never compared themselves. How long a look-up takes may depend on
hashes only; and who learnt a whole hash would still have no key, as SHA-256 cannot be inverted.
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
    """Return whether a bearer token means to be an API key; a JWT begins with the base64url of `{`, so never so."""
    return token.startswith(PREFIX)


def key_hash(key: str) -> str:
    """Return what is kept of a key: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def redacted(text: str) -> str:
    """Return `text` without anything in it that looks like a key, for a message somebody may paste elsewhere."""
    return _LIKE_A_KEY.sub(f"{PREFIX}…", text)
