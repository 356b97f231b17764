"""The client of Valkey: how an address is read, and what is said when the package is missing."""

import sys

import pytest

from app.runtime.valkey import connect
from app.settings.load import SettingsError, load_settings
from tests.valkey_server import ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]


async def test_a_client_speaks_to_the_server_of_its_address(valkey_server: ValkeyServer) -> None:
    """Under Redis's names as well; the number is the database."""
    one, other = connect(valkey_server.url), connect(f"redis://127.0.0.1:{valkey_server.port}/1")
    await one.set("a", b"1")
    assert await one.get("a") == b"1"
    assert await other.get("a") is None
    await one.aclose()
    await other.aclose()


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("valkey://10.0.0.3:6379/0", "Connection"),
        ("redis://10.0.0.3", "Connection"),
        ("valkeys://:secret@10.0.0.3:6379/2", "SSLConnection"),
        ("rediss://10.0.0.3", "SSLConnection"),
    ],
)
def test_an_s_means_tls(url: str, connection: str) -> None:
    """`valkeys` and `rediss` are encrypted; nothing is connected before it is used."""
    client = connect(url)
    assert client.connection_pool.connection_class.__name__ == connection
    assert client.connection_pool.connection_kwargs["socket_timeout"] <= 1


@pytest.mark.parametrize(
    "url", ["http://10.0.0.3", "10.0.0.3:6379", "valkey://", "valkey://h/db", "unix:///run/v.sock"]
)
def test_an_address_of_another_kind_is_no_setting(url: str) -> None:
    """It is refused with the others, by the variable's name and without the address."""
    with pytest.raises(SettingsError, match=r"^SLUICE_CACHE_URL: ") as refused:
        load_settings({"SLUICE_CACHE_URL": url})
    assert url not in str(refused.value).replace("valkey://cache.internal:6379/0", "")
    assert load_settings({"SLUICE_CACHE_URL": ""}).query.cache_url == ""
    assert load_settings({"SLUICE_CACHE_URL": "valkeys://:secret@10.0.0.3:6379/1"}).query.cache_url


def test_an_impossible_port_is_told_without_the_address() -> None:
    """What a pattern cannot see is refused all the same."""
    with pytest.raises(SettingsError, match="SLUICE_CACHE_URL must be an address") as refused:
        connect("valkey://:secret@h:99999")
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most do without it."""
    monkeypatch.setitem(sys.modules, "valkey.asyncio", None)
    with pytest.raises(SettingsError, match=r"SLUICE_CACHE_URL needs the package valkey.*, which is not installed"):
        connect("valkey://10.0.0.3")
