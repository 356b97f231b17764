"""The record that is sent: the service's own example, or a user's, with a unique id.

The example comes from the service's OpenAPI document, so that any record type works. The id begins with `smoke-`, so
that such records can be distinguished from real ones.
"""

import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from sluice_client import SluiceError

PREFIX = "smoke-"
PLACEHOLDER = "{smoke}"
"""The placeholder for the id in a user's own file."""
_OWN_FILE = f"give your own record with --data FILE, in which {PLACEHOLDER} is replaced by a new id each time"


def marker() -> str:
    """Return a unique id that contains its time of creation."""
    return f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def record_of_file(content: bytes, mark: str) -> dict[str, Any]:
    """Return the record of a file. Raises SluiceError if it is not a JSON object."""
    try:
        return msgspec.json.decode(content.replace(PLACEHOLDER.encode(), mark.encode()), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SluiceError(f"--data: expected one record, a JSON object: {error}") from error


def record_of_example(document: dict[str, Any], path: str, id_field: str | None, mark: str) -> dict[str, Any]:
    """Return the OpenAPI document's example of a record that is posted to `path`, with a new id.

    Raises:
        SluiceError: there is no example, or its id is no text: a new number could be a real record's.
    """
    example: Any = document
    for name in ("paths", path, "post", "requestBody", "content", "application/json", "examples", "one", "value"):
        example = example.get(name) if isinstance(example, dict) else None
    if not isinstance(example, dict):
        raise SluiceError(
            f"the service has no example of a record (if another one ingests, give --ingest-url): {_OWN_FILE}"
        )
    if id_field is None:
        return example
    if not isinstance(example[id_field], str):
        raise SluiceError(f"cannot generate a new {id_field} for this record type: {_OWN_FILE}")
    try:
        uuid.UUID(example[id_field])
    except ValueError:
        return example | {id_field: mark}
    return example | {id_field: str(uuid.uuid4())}
