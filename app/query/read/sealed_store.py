"""Encrypt what instances share through a Valkey that others may read and write."""

import hmac
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_NAMESPACE = "sluice:"  # a server may serve others, too


class SealedStore:
    """Encrypts and authenticates values, each with a key derived from `secret` and from its name.

    What somebody without the secret stored, or stored under another name, is no value. The names that the service gives
    depend on the number of erasures, so after an erasure nothing older is asked for, or decrypted, again.
    """

    def __init__(self, valkey: Any, secret: str) -> None:
        self._valkey, self._secret = valkey, secret.encode()

    async def set(self, key: str, value: bytes, expires_in: int) -> None:
        """Store `value` encrypted, for some seconds."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(key).encrypt(nonce, value, None)
        await self._valkey.set(_NAMESPACE + key, sealed, ex=expires_in)

    async def get(self, key: str) -> bytes | None:
        """Return the value; None also for bytes that this secret did not encrypt under this name."""
        sealed = await self._valkey.get(_NAMESPACE + key)
        if sealed is None:
            return None
        try:
            return self._cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._valkey.aclose(close_connection_pool=True)

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, key.encode(), "sha256"))
