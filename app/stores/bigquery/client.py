"""Reach BigQuery: the address of the tables, and the connections that ingest and query share.

An `https` address is called with the application-default credentials. An `http` address is an emulator, and is called
without credentials, so no secret ever travels unencrypted. The project always comes from the settings, never from the
credentials. No quota project of the credentials is sent, since that would need a permission of its own.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import google.auth
import msgspec
from google.auth.credentials import AnonymousCredentials, Credentials, CredentialsWithQuotaProject
from google.auth.exceptions import GoogleAuthError

from app.settings.store import StoreSettings
from app.telemetry.redaction import first_line

if TYPE_CHECKING:
    import grpc.aio
    from google.cloud import bigquery

QUERY_THREADS = 32  # queries at once; each waits for BigQuery and computes nothing meanwhile
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class AccessError(Exception):
    """There are no usable credentials; the message says what to do."""


class TableAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The names that identify the tables, and the addresses of BigQuery's APIs."""

    project: str
    dataset: str
    location: str | None
    rest_url: str
    storage_url: str

    @classmethod
    def of(cls, settings: StoreSettings) -> "TableAddress":
        """Return the address that `settings` name."""
        return cls(
            project=settings.bigquery_project,
            dataset=settings.bigquery_dataset,
            location=settings.bigquery_location or None,
            rest_url=settings.bigquery_rest_url,
            storage_url=settings.bigquery_storage_url,
        )

    def table_id(self, table: str) -> str:
        """Return the table's name for SQL and for people."""
        return f"{self.project}.{self.dataset}.{table}"

    def table_path(self, table: str) -> str:
        """Return the table's name for the Storage API."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{table}"


class BigQueryClients:
    """Makes clients for one address; credentials are loaded when first needed, and kept until forgotten."""

    def __init__(self, place: TableAddress) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._client: bigquery.Client | None = None

    def client(self) -> "bigquery.Client":
        """Return the REST client, for all threads. Loading credentials may take seconds: not on the event loop.

        Raises:
            AccessError: there are no usable credentials.
        """
        from google.cloud import bigquery  # noqa: PLC0415 - a quarter of a second that other backends need not spend
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above

        with self._lock:
            if self._client is None:
                self._client = client = bigquery.Client(
                    project=self.place.project,
                    credentials=self._credentials_for(self.place.rest_url),
                    location=self.place.location,
                    client_options={"api_endpoint": self.place.rest_url},
                )
                for scheme in ("https://", "http://"):  # a connection for each thread
                    client._http.mount(scheme, HTTPAdapter(pool_maxsize=QUERY_THREADS))  # noqa: SLF001 - the library has no setting for it
            return self._client

    def channel(self, options: Sequence[tuple[str, Any]]) -> "grpc.aio.Channel":
        """Return a new gRPC channel to the Storage API, for the running loop. Call `load` first.

        Raises:
            AccessError: there are no usable credentials.
        """
        import grpc.aio  # noqa: PLC0415 - as above
        from google.api_core import grpc_helpers_async  # noqa: PLC0415 - as above

        address = urlsplit(self.place.storage_url)
        if address.scheme == "http":
            # An emulator is on this machine or nearby: use no proxy, whatever the environment says.
            direct = [*options, ("grpc.enable_http_proxy", 0)]
            channel: grpc.aio.Channel = grpc.aio.insecure_channel(address.netloc, options=direct)
            return channel
        with self._lock:
            credentials = self._credentials_for(self.place.storage_url)
        target = address.netloc if address.port else f"{address.netloc}:443"
        secure: grpc.aio.Channel = grpc_helpers_async.create_channel(
            target, credentials=credentials, options=list(options)
        )
        return secure

    @property
    def is_loaded(self) -> bool:
        """Whether `channel` has the credentials that it needs."""
        return self._credentials is not None or urlsplit(self.place.storage_url).scheme == "http"

    def load(self) -> None:
        """Load the credentials, which may take seconds: not on the event loop.

        Raises:
            AccessError: there are none, or they cannot be used.
        """
        with self._lock:
            self._credentials_for(self.place.storage_url)

    def _credentials_for(self, url: str) -> Credentials:
        if urlsplit(url).scheme == "http":
            return AnonymousCredentials()
        if self._credentials is None:
            self._credentials = _application_default()
        return self._credentials

    def close(self) -> None:
        """Close the REST client, unless another thread is loading credentials, which may take too long to wait for."""
        if self._lock.acquire(blocking=False):
            if self._client is not None:
                self._client.close()  # type: ignore[no-untyped-call]
                self._client = None
            self._lock.release()

    def forget(self) -> None:
        """Forget credentials that are not accepted; the next client loads them again."""
        if self._lock.acquire(blocking=False):  # else another thread is loading them
            self._credentials = self._client = None
            self._lock.release()


def _application_default() -> Credentials:
    credentials: Credentials
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except (GoogleAuthError, OSError, ValueError) as error:
        reason = first_line(error).rstrip(".")
        raise AccessError(
            f"no usable Google credentials: {reason}. On Cloud Run the service account provides them; "
            "elsewhere run `gcloud auth application-default login`, or point "
            "GOOGLE_APPLICATION_CREDENTIALS at a readable key file"
        ) from error
    if isinstance(credentials, CredentialsWithQuotaProject) and credentials.quota_project_id is not None:
        credentials = credentials.with_quota_project(None)
    return credentials
