"""Create the Valkey client for state that instances share: cached answers and request counts."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.runtime.imports import missing_package
from app.runtime.threads import run_in_daemon_thread
from app.settings.load import SettingsError

if TYPE_CHECKING:
    from valkey.asyncio import Valkey
    from valkey.asyncio.connection import AbstractConnection

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
TIMEOUT_S = 0.2  # per step (connect, send, receive): the service works without the shared state
MAX_CONNECTIONS = 64


def connect(url: str) -> "Valkey":
    """Return a client of the server at `url`; it connects on first use, and must be closed (`aclose`).

    `valkey://` and `redis://` are plain text; `valkeys://` and `rediss://` are TLS, verified by the system's
    certificates or by those in `ssl_ca_data`. A user without a password logs in with an access token. An exception in
    use (valkey.exceptions.ValkeyError, OSError, google.auth.exceptions.GoogleAuthError) means that the shared state
    is unavailable for now.

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
    if pool.connection_kwargs.get("username") and not pool.connection_kwargs.get("password"):
        pool.connection_class = _with_google_token(pool.connection_class)
    return Valkey.from_pool(pool)


def _with_google_token(connection: type["AbstractConnection"]) -> type["AbstractConnection"]:
    """Return a class of connections that log in as Memorystore demands of an identity with the right to connect.

    https://docs.cloud.google.com/memorystore/docs/valkey/about-iam-auth
    """
    token = _google_token()

    class GoogleConnection(connection):  # type: ignore[misc, valid-type] # a class all the same
        async def on_connect(self) -> None:
            self.password = await run_in_daemon_thread(token, "cache-token")
            await super().on_connect()

    return GoogleConnection


def _google_token() -> Callable[[], str]:
    """Return a function that returns an access token of the application-default credentials, from any thread.

    It raises google.auth.exceptions.GoogleAuthError where there is none.
    """
    import google.auth  # noqa: PLC0415 - most instances have no cache
    from google.auth.transport.requests import Request  # noqa: PLC0415 - likewise

    lock, loaded = threading.Lock(), list[google.auth.credentials.Credentials]()

    def token() -> str:
        with lock:
            if not loaded:
                loaded.append(google.auth.default(scopes=_SCOPES)[0])
            if not loaded[0].valid:
                loaded[0].refresh(Request())
            return str(loaded[0].token)

    return token
