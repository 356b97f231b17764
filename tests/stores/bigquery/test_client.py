"""Credentials: when they are looked for, kept and forgotten; and what travels without any."""

from typing import Any, Self

import google.auth
import grpc.aio
import pytest
from google.auth.credentials import AnonymousCredentials, CredentialsWithQuotaProject

from app.stores.bigquery.client import BigQueryClients, TableAddress

GOOGLE = TableAddress(
    project="p",
    dataset="d",
    location="EU",
    rest_url="https://bigquery.googleapis.com",
    storage_url="https://bigquerystorage.googleapis.com",
)
EMULATOR = TableAddress(
    project="p", dataset="d", location=None, rest_url="http://127.0.0.1:1", storage_url="http://127.0.0.1:2"
)


class Found(CredentialsWithQuotaProject):
    """What google.auth finds: credentials that would bill somebody else's project for the quota."""

    def __init__(self, quota_project: str | None = "somebody-elses") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._quota_project_id = quota_project

    def with_quota_project(self, quota_project_id: str | None) -> Self:
        return type(self)(quota_project_id)

    def refresh(self, request: Any) -> None:
        self.token = "token"


class Searches:
    """Stands in for google.auth.default, which no test can set up for real."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: Exception | None = None

    def __call__(self, scopes: Any = None) -> tuple[Found, str]:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        return Found(), "a-project-of-the-credentials"


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    """Count the searches for application-default credentials."""
    made = Searches()
    monkeypatch.setattr(google.auth, "default", made)
    return made


def test_credentials_are_found_once_and_without_their_quota_project(searches: Searches) -> None:
    """The project is the one that was set; a quota project would need a permission of its own."""
    access = BigQueryClients(GOOGLE)
    loaded_before = access.is_loaded
    access.load()
    assert (loaded_before, access.is_loaded) == (False, True)
    client = access.client()
    assert access.client() is client
    assert searches.count == 1
    assert client.project == "p"
    assert client._credentials.quota_project_id is None
    access.close()


async def test_an_emulator_is_reached_without_credentials(searches: Searches) -> None:
    """Nothing secret travels over http."""
    access = BigQueryClients(EMULATOR)
    assert access.is_loaded
    access.load()
    client = access.client()
    assert isinstance(client._credentials, AnonymousCredentials)
    channel = access.channel([])
    assert isinstance(channel, grpc.aio.Channel)
    await channel.close()
    assert searches.count == 0
    access.close()
