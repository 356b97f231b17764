"""Create the Valkey client for state that instances share: cached answers and request counts."""

from typing import TYPE_CHECKING

from app.runtime.packages import missing_package
from app.settings.load import SettingsError

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

TIMEOUT_S = 0.2  # per step (connect, send, receive): the service works without the shared state
MAX_CONNECTIONS = 64


def connect(url: str) -> "Valkey":
    """Return a client of the server at `url`; it connects on first use, and must be closed (`aclose`).

    `valkey://` and `redis://` are plain text; `valkeys://` and `rediss://` are TLS, verified by the system's
    certificates. An exception in use (valkey.exceptions.ValkeyError, OSError) means that the shared state is
    unavailable for now.

    Raises:
        SettingsError: the package is missing, or the address is invalid. The message does not quote the address, which
            may contain a password.
    """
    try:
        from valkey.asyncio import BlockingConnectionPool, Valkey  # noqa: PLC0415 - most instances have no cache
    except ModuleNotFoundError as error:
        raise SettingsError(missing_package("SLUICE_CACHE_URL", error)) from error
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
    except ValueError:
        raise SettingsError("SLUICE_CACHE_URL must be an address such as valkey://10.0.0.3:6379/0") from None
    return Valkey.from_pool(pool)
