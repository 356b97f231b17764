"""Callers of these tests: a file of grants, keys, and the headers that each sends."""

from pathlib import Path
from typing import Any

import httpx
import msgspec

from app.auth.grants import CheckFilters, GrantRules, key_hash
from app.http import paths
from app.settings.auth import AuthSettings
from app.settings.load import Settings
from sluice.testing.service import SETTINGS, Service, authorization

KEY = "sluice_" + "k" * 43
OTHER_KEY = "sluice_" + "o" * 43
READER = "reader@p.iam.gserviceaccount.com"
OWNER = "owner@example.com"
PUSHER = "pusher@p.iam.gserviceaccount.com"


def known(*names: str) -> CheckFilters:
    """Return a check of filters that knows only these."""

    def check(_: str, pairs: Any) -> None:
        for name, _ in pairs:
            if name not in names:
                raise ValueError(f"{name}: there is no such field to filter by; there are {', '.join(names)}")

    return check


RULES = GrantRules(
    settings=AuthSettings(api_principals=(OWNER,), push_principals=(PUSHER,)), check_filters=known("source")
)


def key_grant(key: str = KEY, **changed: Any) -> dict[str, Any]:
    """Return the entry of an API key, with members changed; None leaves one out."""
    entry = {"name": "partner-a", "key_sha256": key_hash(key), "scopes": ["read"]} | changed
    return {name: value for name, value in entry.items() if value is not None}


def email_grant(email: str = READER, **changed: Any) -> dict[str, Any]:
    """Return the entry of an e-mail, with members changed."""
    return {"email": email, "scopes": ["read"]} | changed


def document(*entries: dict[str, Any]) -> bytes:
    """Return a document of these entries."""
    return msgspec.json.encode({"grants": entries})


def write(file: Path, content: bytes) -> None:
    """Write a file, small and at once."""
    file.write_bytes(content)


def remove(file: Path) -> None:
    """Remove a file."""
    file.unlink()


def granting(folder: Path, *entries: dict[str, Any], **changed: Any) -> Settings:
    """Write a file of grants; return the settings that name it."""
    file = folder / "grants.json"
    write(file, document(*entries))
    return SETTINGS.replace(grants_file=str(file), **changed)


def bearing(key: str = KEY) -> dict[str, str]:
    """Return the header that carries an API key."""
    return {"Authorization": f"Bearer {key}"}


def signed_in(email: str = READER) -> dict[str, str]:
    """Return the header that carries a token of Google's for us."""
    return authorization(email=email)


async def read(service: Service, headers: dict[str, str] | None = None) -> httpx.Response:
    """Read a page of records."""
    return await service.client.get(paths.RECORDS, headers=headers)
