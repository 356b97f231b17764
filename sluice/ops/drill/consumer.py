"""The consumer of a drill whose API asks for a key: `reader.key` holds the key, `grants.json` its grant."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.auth.grants import Grant, GrantsDocument, key_hash, new_key

NAME, OTHER = "reader", "ledger"
_GRANTS, _KEY = "grants.json", "reader.key"


def admit(folder: Path) -> dict[str, str]:
    """Make the consumer's key in `folder`, and grants for it and for another; return the settings that name them."""
    key = new_key()
    (folder / _KEY).write_text(f"{key}\n")
    hashes = {NAME: key_hash(key), OTHER: key_hash(new_key())}
    _write(folder, [Grant(name=name, key_sha256=each, scopes=("read",)) for name, each in hashes.items()])
    return {"SLUICE_GRANTS_FILE": str(folder / _GRANTS)}


def headers(folder: Path) -> dict[str, str]:
    """Return what the consumer sends: the key that it has now, or nothing where the API asks for none."""
    try:
        return {"Authorization": f"Bearer {(folder / _KEY).read_text().strip()}"}
    except FileNotFoundError:
        return {}


def revoke(folder: Path) -> None:
    """Remove the consumer's grant."""
    _write(folder, [grant for grant in _read(folder) if grant.name != NAME])


def _read(folder: Path) -> Sequence[Grant]:
    return msgspec.json.decode((folder / _GRANTS).read_bytes(), type=GrantsDocument).grants


def _write(folder: Path, grants: Sequence[Grant]) -> None:
    new = folder / f"{_GRANTS}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(GrantsDocument(tuple(grants)))))
    new.replace(folder / _GRANTS)  # the service sees the old file or the new one
