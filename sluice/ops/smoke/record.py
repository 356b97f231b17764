"""The record that is sent: the service's own example, with a unique id.

The fields come from the service's OpenAPI document, so that any record type works. The id begins with `smoke-`, so that
such records can be distinguished from real ones.
"""

import re
import secrets
import uuid
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from sluice.ops.smoke.client import SmokeError

PREFIX = "smoke-"
PLACEHOLDER = "{smoke}"
"""The placeholder for the id in a user's own file."""
_BODY = ("post", "requestBody", "content", "application/json")
_OWN_FILE = f"give your own record with --data FILE, in which {PLACEHOLDER} is replaced by a new id each time"


def marker(now: datetime | None = None) -> str:
    """Return a unique id that contains its time of creation."""
    return f"{PREFIX}{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def record_of_file(content: bytes, mark: str) -> dict[str, Any]:
    """Return the record of a file. Raises SmokeError if it is not a JSON object."""
    try:
        return msgspec.json.decode(content.replace(PLACEHOLDER.encode(), mark.encode()), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SmokeError(f"--data: expected one record, a JSON object: {error}") from error


def record_of_example(
    document: dict[str, Any], id_field: str | None, mark: str, path: str = "/v1/records"
) -> dict[str, Any]:
    """Return the OpenAPI document's example of a record that is posted to `path`, with a new id.

    Raises:
        SmokeError: there is no example, or no id can be generated for this type.
    """
    example: Any = document
    for name in ("paths", path, *_BODY, "examples", "one", "value"):
        example = example.get(name) if isinstance(example, dict) else None
    if not isinstance(example, dict):
        raise SmokeError(
            f"the service has no example of a record (if another one ingests, give --ingest-url): {_OWN_FILE}"
        )
    if id_field is None:
        return example
    schema = _id_schema(document, id_field, path)
    return example | {id_field: _new_id(schema, mark, id_field)}


def _id_schema(document: dict[str, Any], id_field: str, path: str) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    schema: Any = document["paths"][path]
    for name in (*_BODY, "schema"):
        schema = schema[name]
    while "properties" not in schema:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            raise SmokeError(f"the service does not describe a record's {id_field}: {_OWN_FILE}")
    id_schema: dict[str, Any] = schema["properties"][id_field]
    return id_schema


def _new_id(schema: dict[str, Any], mark: str, id_field: str) -> str:
    """Return an id that the schema allows; never generate one that could be a real record's."""
    if schema.get("format") == "uuid":
        return str(uuid.uuid4())
    is_text = schema.get("type") == "string" and "enum" not in schema and "format" not in schema
    longest, pattern = schema.get("maxLength", len(mark)), schema.get("pattern", "")
    for candidate in (mark, f"{PREFIX}{mark[-8:]}"):
        if is_text and schema.get("minLength", 0) <= len(candidate) <= longest and re.search(pattern, candidate):
            return candidate
    raise SmokeError(f"cannot generate a new {id_field} for this record type: {_OWN_FILE}")


def differences(sent: Any, served: Any, path: str = "") -> list[str]:
    """Return the paths at which the record read differs from the one sent; members that were not sent do not count."""
    match sent, served:
        case dict(), dict():
            return [
                wrong
                for name, value in sent.items()
                for wrong in differences(value, served.get(name), f"{path}.{name}" if path else name)
            ]
        case list(), list() if len(sent) == len(served):
            return [
                wrong
                for index, (one, other) in enumerate(zip(sent, served, strict=True))
                for wrong in differences(one, other, f"{path}[{index}]")
            ]
        case _:
            return [] if sent == served or _is_same_text(sent, served) else [path]


def _is_same_text(sent: Any, served: Any) -> bool:
    """Return whether two texts are the same instant, or the same number, written differently."""
    if not (isinstance(sent, str) and isinstance(served, str)):
        return False
    try:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(served)
    except (ValueError, TypeError):
        pass
    try:
        return Decimal(sent) == Decimal(served)
    except InvalidOperation:
        return False
