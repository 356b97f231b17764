"""The contracts of the ingest endpoints, for the OpenAPI document, and the bodies that they answer with."""

import base64
from typing import Any, Literal

import msgspec

from app.http import paths
from app.http.contract import (
    INSTANT,
    JSON,
    TEXT,
    TEXT_OR_NULL,
    Answer,
    Contract,
    Named,
    Parameter,
    Sent,
    media,
    object_schema,
)
from app.http.problems import FieldError
from app.schema.record_json import example_record
from app.schema.table import Table


class RecordResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result for one record: its position in the request, and its keys or its error.

    A record with several errors has each in `errors`; `field` is that of the first, and `detail` names all.
    """

    index: int
    status: Literal["stored", "rejected"]
    delivery_key: str
    id: str | int | None = None
    reason: str | None = None
    field: str | None = None
    detail: str | None = None
    errors: list[FieldError] | None = None


class StoredAnswer(msgspec.Struct, frozen=True):
    """Every record is stored."""

    records: list[RecordResult]


class MixedAnswer(msgspec.Struct, frozen=True):
    """Some records are stored; the others were rejected, and can be read at `/v1/rejects`."""

    results: list[RecordResult]


_PUSH_PROBLEMS = {
    400: "The body is not a push message.",
    401: "The token is missing or not valid.",
    403: "The caller may not push.",
    408: "The body arrived too slowly.",
    413: "The body is larger than any Pub/Sub message.",
    429: "Too many messages are in flight, or the store's quota is exhausted.",
    503: "The message was not stored in time, or the store is not set up; Pub/Sub delivers it again.",
}
_SUBMIT_PROBLEMS = {
    400: "A header is not valid, or the body ended early.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
    408: "The body arrived too slowly.",
    413: "The body is too large.",
    422: "No record could be stored; `errors` gives the errors of each record.",
    429: "Too many messages are in flight, or the store's quota is exhausted.",
    503: "The records were not stored in time; send the request again, preferably with the same Idempotency-Key.",
}
_SUBMIT_PARAMETERS = {
    "Idempotency-Key": Parameter(
        "Identifies the request: a request that is sent again with the same key is stored once. 1 to 255 "
        "printable ASCII characters.",
        "order-1042-attempt",
        {"type": "string", "pattern": "^[ -~]{1,255}$"},
        location="header",
    ),
    "Content-Encoding": Parameter(
        "`gzip` if the body is compressed.",
        None,
        {"type": "string", "pattern": "^ *([Gg][Zz][Ii][Pp]|[Ii][Dd][Ee][Nn][Tt][Ii][Tt][Yy])? *$"},
        location="header",
    ),
}
_KEY = "http:5f0c1c7e4b6d4c1c9a1b2c3d4e5f6a7b"
_STORED_RESULT = {"index": 0, "status": "stored", "delivery_key": f"{_KEY}:0", "id": "order-1042"}
_REJECTED_RESULT = {
    "index": 1,
    "status": "rejected",
    "delivery_key": f"{_KEY}:1",
    "reason": "invalid",
    "field": "source",
    "detail": "Expected `str`, got `int` - at `$.source`",
}
_STORED = Answer("Every record is stored.", {JSON: media(StoredAnswer, {"records": [_STORED_RESULT]})})


def push_contract(table: Table) -> Contract:
    """Return the contract of a push: a wrapped message (https://cloud.google.com/pubsub/docs/push#receive_push)."""
    message = object_schema(
        None,
        messageId={**TEXT, "minLength": 1, "maxLength": 128},
        publishTime=INSTANT,
        optional={
            "data": {**TEXT, "contentEncoding": "base64", "description": "One record or several, in base64."},
            "attributes": {"type": ["object", "null"], "additionalProperties": TEXT},
            "orderingKey": TEXT_OR_NULL,
        },
    )
    push = object_schema(
        "A wrapped message. An unwrapped message has its data as the body, with any content type, and its "
        "metadata in `x-goog-pubsub-*` headers.",
        message=Named("PushMessage", message),
        optional={"subscription": TEXT_OR_NULL},
    )
    data = base64.b64encode(msgspec.json.encode(example_record(table) or {})).decode()
    example = {
        "message": {
            "data": data,
            "attributes": {"origin": "checkout"},
            "messageId": "9172635445566778",
            "publishTime": "2026-01-31T12:00:00.123Z",
        },
        "subscription": "projects/example/subscriptions/records",
    }
    return Contract(
        body={JSON: media(Named("Push", push), example)},
        answers={204: Answer("Every record of the message is stored, or its rejection is.")},
        problems=_PUSH_PROBLEMS,
    )


def create_contract(table: Table) -> Contract:
    """Return the contract of POST, for records of `table`."""
    record, example = _sent(table), example_record(table)
    document = media({"anyOf": [record, {"type": "array", "items": record, "minItems": 1}]})
    lines = media({"type": "string", "description": "One record per line."})
    if example is not None:
        document["examples"] = {
            "one": {"summary": "One record", "value": example},
            "several": {"summary": "Several records", "value": [example]},
        }
        lines["example"] = msgspec.json.encode(example).decode() + "\n"
    mixed = media(MixedAnswer, {"results": [_STORED_RESULT, _REJECTED_RESULT]})
    return Contract(
        parameters=_parameters(table),
        body={JSON: document, "application/x-ndjson": lines},
        answers={201: _STORED, 207: Answer("Some were rejected.", {JSON: mixed})},
        problems=_SUBMIT_PROBLEMS,
    )


def _sent(table: Table) -> Any:
    """Return the schema of a record that is sent to `table`: that of any version, newest first."""
    if table.versions is None:
        return Sent(table.record_type)
    return {"anyOf": [Sent(each) for each in reversed(table.versions.types)]}


def _parameters(table: Table) -> dict[str, Parameter]:
    """Return the headers of a submission."""
    if table.versions is None or not table.versions.attribute:
        return _SUBMIT_PARAMETERS
    *_, newest = names = table.versions.names
    version = Parameter(
        f"The version of the records; by default the oldest, `{names[0]}`.",
        newest,
        {"type": "string", "enum": [*names]},
        location="header",
    )
    return {**_SUBMIT_PARAMETERS, table.versions.attribute: version}


def put_contract(table: Table) -> Contract:
    """Return the contract of PUT, for records of `table`."""
    return Contract(
        parameters={**paths.RECORD_ID, **_parameters(table)},
        body={JSON: media(_sent(table), example_record(table))},
        answers={200: _STORED},
        problems=_SUBMIT_PROBLEMS,
    )
