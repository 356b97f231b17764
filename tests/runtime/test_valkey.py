"""The client of Valkey: how an address is read, and what is said when the package is missing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.credentials import Credentials
from valkey.exceptions import ValkeyError

from app.runtime.valkey import connect
from app.settings.load import load_settings
from tests.valkey_server import SECRET, ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]


async def test_a_client_speaks_to_the_server_of_its_address(valkey_server: ValkeyServer) -> None:
    """Under Redis's names as well; the number is the database."""
    one, other = connect(valkey_server.url), connect(f"redis://127.0.0.1:{valkey_server.port}/1")
    await one.set("a", b"1")
    assert await one.get("a") == b"1"
    assert await other.get("a") is None
    await one.aclose()
    await other.aclose()


class Token(Credentials):
    """Credentials of the service, whose token has expired when it is asked for first."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.expiry, self._fresh, self.refreshed = datetime(2020, 1, 1), token, 0  # noqa: DTZ001 - as google.auth has it

    def refresh(self, request: object) -> None:
        """Get a token for an hour."""
        self.token, self.expiry = self._fresh, datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
        self.refreshed += 1


def certificate() -> tuple[str, str]:
    """Return the certificate of an authority of its own, and it with its key, as PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    return signed, signed + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@asynccontextmanager
async def tls_before(port: int, chain: Path) -> AsyncIterator[int]:
    """Give the port of what speaks TLS in front of a server, with this certificate and key."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer), return_exceptions=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def test_memorystore_is_reached_by_a_token_and_a_certificate_of_its_own(
    valkey_server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS, verified by the authority in the address, and with the access token as the password."""
    valkey_server.stop()
    valkey_server.start("--requirepass", "an access token")
    credentials = Token("an access token")
    monkeypatch.setattr("google.auth.default", lambda **_: (credentials, None))
    (authority, chain), (other, _) = certificate(), certificate()
    (tmp_path / "chain.pem").write_text(chain)
    async with tls_before(valkey_server.port, tmp_path / "chain.pem") as port:
        address = f"valkeys://{{}}127.0.0.1:{port}/0?ssl_ca_data="
        settings = load_settings(
            {
                "SLUICE_CACHE_URL": address.format("default@") + quote_plus(authority),
                "SLUICE_CACHE_SECRET": SECRET,
            }
        ).query
        clients = [
            connect(settings.cache_url),
            connect(address.format("") + quote_plus(authority)),
            connect(address.format("default@") + quote_plus(other)),
        ]
        async with clients[0], clients[1], clients[2]:
            await asyncio.gather(*(clients[0].set(f"{number}", b"1") for number in range(5)))
            assert await clients[0].get("4") == b"1"
            assert credentials.refreshed == 1
            for client in clients[1:]:
                with pytest.raises(ValkeyError):
                    await client.get("4")
