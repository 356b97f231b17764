import base64
import datetime as dt
import json
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.auth.key_set import (
    DEFAULT_MAX_AGE_S,
    MAX_MAX_AGE_S,
    MIN_MAX_AGE_S,
    FetchedKeys,
    KeySet,
    KeySetError,
    key_fetcher,
    read_key_set,
)
from app.auth.tokens import TokenVerifier
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from tests.auth.tokens.forge import POLICY, bearer
from tests.support.http_server import Handler, serving_http

_PEM = tokens.key_pair()[1]
_OTHER_PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


class Server:
    """Serves one answer, as it is told, over real HTTP."""

    answer, requests, url = b"", 0, ""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server until the test ends."""
    served = Server()

    class Raw(Handler):
        def do_GET(self) -> None:
            served.requests += 1
            self.wfile.write(served.answer)
            self.close_connection = True

    with serving_http(Raw) as url:
        served.url = f"{url}/certs"
        yield served


def http_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_a_key_set_is_fetched_over_http(server: Server) -> None:
    """The keys and their age come from the issuer's endpoint, once for many requests."""
    key_set = json.dumps({tokens.KEY_ID: _PEM}).encode()
    server.answer = http_answer(key_set, "Cache-Control: public, max-age=19000, must-revalidate")
    fetch = key_fetcher(server.url)
    assert (await fetch()).max_age_s == 19_000
    verifier = TokenVerifier(KeySet(fetch, FakeClock()), POLICY)
    headers = bearer(tokens.token())
    for _ in range(100):
        assert await verifier.principal(headers) == tokens.PUSHER
    assert server.requests == 2


_NO_KEY_SETS = {
    "status 500": http_answer(b"{}", status="500 Internal Server Error"),
    "nothing": b"",
    "gibberish": b"gibberish\r\n\r\n",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "redirect to a file": http_answer(b"", "Location: file:///etc/passwd", status="302 Found"),
}


@pytest.mark.parametrize("answer", _NO_KEY_SETS.values(), ids=_NO_KEY_SETS)
async def test_an_answer_that_is_no_key_set_is_an_error(server: Server, answer: bytes) -> None:
    """Whatever an endpoint answers, the fetch ends in keys or in a KeySetError, which the background can retry."""
    server.answer = answer
    with pytest.raises(KeySetError):
        await key_fetcher(server.url)()


@pytest.mark.parametrize(
    ("cache_control", "max_age_s"),
    [
        ("public, max-age=19000, must-revalidate, no-transform", 19_000),
        ("Public,MAX-AGE=600", 600),
        ("max-age=5", MIN_MAX_AGE_S),
        ("max-age=999999999", MAX_MAX_AGE_S),
        ("max-age=-1", DEFAULT_MAX_AGE_S),
        ("s-maxage=600", DEFAULT_MAX_AGE_S),
        ("", DEFAULT_MAX_AGE_S),
    ],
)
def test_the_age_is_taken_from_cache_control(cache_control: str, max_age_s: float) -> None:
    """Keys are kept as long as the issuer says, within a minute and a day; an hour where it says nothing."""
    assert read_key_set(json.dumps({"a": _PEM}).encode(), cache_control).max_age_s == max_age_s


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html></html>", "must be a JSON object"),
        (b'{"keys": [{"kty": "RSA", "n": "AQAB"}]}', "must be a JSON object"),
        (b'{"a": "\xff"}', "must be a JSON object"),
        (b'{"error": "quota exceeded", "status": "RESOURCE_EXHAUSTED"}', "no RSA public key"),
        (json.dumps({"a": _PEM[:-60]}).encode(), "no RSA public key"),
        (b'"' + b"a" * 1_048_576 + b'"', "larger than 1048576 bytes"),
    ],
    ids=["html", "jwks", "not_utf8", "error", "cut_pem", "large"],
)
def test_a_malformed_key_set_is_an_error(body: bytes, message: str) -> None:
    """What is no key set never replaces the keys at hand, however it came with status 200."""
    with pytest.raises(KeySetError, match=message):
        read_key_set(body, "")


def test_keys_of_other_algorithms_are_passed_over() -> None:
    """An issuer may serve further keys beside its RSA ones, also of an algorithm that no library knows yet."""
    # SubjectPublicKeyInfo of the algorithm 1.2.3.4: the library raises UnsupportedAlgorithm, which is no ValueError.
    der = base64.b64encode(bytes.fromhex("300b300506032a030403020001")).decode()
    unknown = f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"
    served = {"unknown": unknown, "rsa": _PEM, "junk": "", "ec": _OTHER_PEM}
    assert read_key_set(json.dumps(served).encode(), "").keys == {"rsa": _PEM}


async def test_a_certificate_serves_as_a_key() -> None:
    """Google serves its keys as X.509 certificates: tokens are verified with one as with a bare key."""
    private = serialization.load_pem_private_key(tokens.key_pair()[0], None)
    assert isinstance(private, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=16))
        .sign(private, hashes.SHA256())
    )
    served = json.dumps({tokens.KEY_ID: certificate.public_bytes(serialization.Encoding.PEM).decode()}).encode()

    async def fetch() -> FetchedKeys:
        return read_key_set(served, "")

    verifier = TokenVerifier(KeySet(fetch, FakeClock()), POLICY)
    assert await verifier.principal(bearer(tokens.token())) == tokens.PUSHER
