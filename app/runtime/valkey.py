"""The one place where a client of Valkey is made, for what instances share: cached answers, counts of requests."""

from typing import TYPE_CHECKING

from app.settings.load import SettingsError

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

TIMEOUT_S = 0.2  # of each step (a connection, sending, receiving): one can always do without what is shared
MAX_CONNECTIONS = 64


def connect(url: str) -> "Valkey":
    """Return a client of the server at `url`; it connects when it is first used, and must be closed (`aclose`).

    `valkey://` and `redis://` are plain, `valkeys://` and `rediss://` are TLS, checked by the system's certificates.
    What it raises in use (valkey.exceptions.ValkeyError, OSError) means that there is nothing shared just now.

    Raises:
        SettingsError: the package is missing, or the address is none. Nothing of the address is told, as it may hold
            a password.
    """
    try:
        from valkey.asyncio import BlockingConnectionPool, Valkey  # noqa: PLC0415 - an extra that most do without
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"SLUICE_CACHE_URL needs the package {error.name}, which is not installed: "
            "`uv sync --extra valkey` installs it"
        ) from error
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
    except ValueError:
        raise SettingsError("SLUICE_CACHE_URL is not an address such as valkey://10.0.0.3:6379/0") from None
    return Valkey.from_pool(pool)
