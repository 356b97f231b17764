"""An issuer of the tests' own: keys, a key set, and tokens as Google signs them."""

import time
from functools import lru_cache
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

from app.auth.key_set import FetchedKeys

ISSUER, AUDIENCE, PUSHER = "https://issuer.test", "sluice", "pusher@project.iam.gserviceaccount.com"
KEY_ID = "key-1"
_making = Lock()


def key_pair(name: str = KEY_ID) -> tuple[bytes, str]:
    """Return a private key and its public half, both PEM; the same for the same name, in every thread."""
    with _making:
        return _make_key_pair(name)


@lru_cache
def _make_key_pair(_: str) -> tuple[bytes, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


def certs() -> dict[str, str]:
    """Return the issuer's key set: key id to PEM."""
    return {KEY_ID: key_pair()[1]}


async def fetch_keys() -> FetchedKeys:
    """Serve the issuer's key set."""
    return FetchedKeys(certs(), 3600.0)


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a good push token, with changes; None removes one."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "azp": "1234",
        "sub": "1234",
        "email": PUSHER,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(**changed: Any) -> str:
    """Return a signed token with these claims changed."""
    return str(jwt.encode(crypt.RSASigner(private_key(), KEY_ID), claims(**changed)).decode())


@lru_cache
def private_key(name: str = KEY_ID) -> rsa.RSAPrivateKey:
    """Return a private key; reading it, which checks it, takes thirty times as long as signing."""
    key = serialization.load_pem_private_key(key_pair(name)[0], None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
