"""The secret that signs canaries and replays: its sources, and the one of a local run.

The service has the same one in SLUICE_SIGNING_SECRET (app/ingest/decode/envelope.py).
"""

import argparse
import os
import secrets
from pathlib import Path

from app.auth.signatures import CANARY, SIGNATURE, canary_signature

VARIABLE, SIGNATURE_VARIABLE = "SLUICE_SIGNING_SECRET", "SLUICE_HEARTBEAT_SIGNATURE"
LOCAL_NAME = "signing-secret"
LOCAL_FILE = Path("data") / LOCAL_NAME
"""Where `sluice up` stores its secret, next to its records."""


class SecretError(Exception):
    """There is no secret to sign with; the message names the possible sources."""


def add_secret_argument(parser: argparse.ArgumentParser) -> None:
    """Add --secret-file. The secret itself is not an argument: other users of the machine can see arguments."""
    parser.add_argument(
        "--secret-file",
        type=Path,
        metavar="FILE",
        help=f"a file with the service's {VARIABLE} (default: ${VARIABLE}; with a local Pub/Sub also "
        f"{LOCAL_FILE}, which `sluice up` creates)",
    )


def secret_of(file: Path | None, *, is_local: bool) -> str:
    """Return the secret from `file`, from the environment or, if `is_local`, from a local run.

    Raises:
        SecretError: there is none.
    """
    if file is None and (given := os.environ.get(VARIABLE)):
        return given
    if file is None and is_local and LOCAL_FILE.is_file():
        file = LOCAL_FILE
    if file is None:
        raise SecretError(f"set {VARIABLE} or give --secret-file: the service ignores a mark without a signature")
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"--secret-file {file}: {error}") from None
    if not secret:
        raise SecretError(f"--secret-file {file}: the file is empty")
    return secret


def local_secret(folder: Path) -> str:
    """Return the secret of local runs over the records in `folder`, creating it if missing.

    Raises:
        OSError: it can be neither read nor written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCAL_NAME
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        secret = secrets.token_hex(32)
        written.write(secret + "\n")
    return secret


def canary_attributes(file: Path | None, *, is_local: bool) -> dict[str, str]:
    """Return the attributes of a canary, signed with the secret or with the signature from the environment.

    Raises:
        SecretError: there is neither.
    """
    given = os.environ.get(SIGNATURE_VARIABLE)
    if file is None and given:
        return {CANARY: "1", SIGNATURE: given}
    return {CANARY: "1", SIGNATURE: canary_signature(secret_of(file, is_local=is_local))}
