"""Encrypt what instances share through a Valkey that others may read and write."""

import hmac
import os
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar.stores.valkey import ValkeyStore

_NONCE_BYTES = 12


class SealedStore(ValkeyStore):
    """Encrypts and authenticates its values, each with a key derived from `secret` and from its name.

    What somebody without the secret stored, or stored under another name, is no value. The names that the service gives
    depend on the number of erasures, so after an erasure nothing older is asked for, or decrypted, again.
    """

    def __init__(self, valkey: Any, secret: str, **options: Any) -> None:
        super().__init__(valkey, **options)
        self._secret = secret.encode()

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Store `value` encrypted."""
        nonce, plain = os.urandom(_NONCE_BYTES), value.encode() if isinstance(value, str) else value
        await super().set(key, nonce + self._cipher(key).encrypt(nonce, plain, None), expires_in)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """Return the value; None also for bytes that this secret did not encrypt under this name."""
        sealed = await super().get(key, renew_for)
        if sealed is None:
            return None
        try:
            return self._cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, key.encode(), "sha256"))
