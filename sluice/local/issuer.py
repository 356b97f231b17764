"""A local stand-in for Google's token issuer: push tokens in Google's exact shape, and their public key.

The claims: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#jwt-format. Only `iss` differs: it is
the local issuer's own address, which a service under test sets as its SLUICE_TOKEN_ISSUER.
"""

import hashlib
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

TOKEN_LIFETIME_S = 3600
REUSE_MARGIN_S = 300


class Issuer:
    """An RSA key, generated at start, and the tokens signed with it."""

    def __init__(self, address: str, now_s: Callable[[], float] = time.time) -> None:
        """Generate the key; `address` is the claim `iss`."""
        self._address, self._now_s = address, now_s
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public_pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        kid = hashlib.sha1(public_pem, usedforsecurity=False).hexdigest()
        self._certs = {kid: public_pem.decode()}
        self._signer = crypt.RSASigner.from_string(private_pem, key_id=kid)
        self._minted: dict[tuple[str, str], tuple[int, str]] = {}

    def certs(self) -> dict[str, str]:
        """Return the key set: key id -> PEM public key."""
        return dict(self._certs)

    def token(self, audience: str, principal: str) -> str:
        """Return a token for this audience and service account, the same one until shortly before it expires."""
        now_s = self._now_s()
        expires_s, token = self._minted.get((audience, principal), (0, ""))
        if expires_s - now_s > REUSE_MARGIN_S:
            return token
        issued_s = int(now_s)
        expires_s = issued_s + TOKEN_LIFETIME_S
        subject = str(int(hashlib.sha256(principal.encode()).hexdigest(), 16))[:21]  # Google's ids: 21 digits
        claims = {
            "aud": audience,
            "azp": subject,
            "email": principal,
            "email_verified": True,
            "exp": expires_s,
            "iat": issued_s,
            "iss": self._address,
            "sub": subject,
        }
        token = str(jwt.encode(self._signer, claims), "ascii")
        self._minted[audience, principal] = (expires_s, token)
        return token
