"""`POST /v1/records` and `PUT /v1/records/{id}`, also of a stream: records through the same pipeline as pushes."""

import hashlib
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

import msgspec
from litestar import Response
from litestar.enums import HttpMethod

from app.http import paths
from app.http.contract import JSON, Answer, Contract, Parameter, Sent, media
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import FieldError, ProblemError
from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import FieldFault
from app.ingest.decode.reader import Decoded, RecordId
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline, Receipt
from app.schema.protection import Hasher, holds_personal_data
from app.schema.record_json import example_record
from app.schema.table import Table
from app.schema.values import read_id
from app.telemetry.tracing import current_span, parse_traceparent, trace_id_of

_MAX_KEY_LENGTH = 255
_MAX_ERRORS = 100


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


class One(msgspec.Struct, frozen=True):
    """The one record that a message may hold: the name of the id field, the id as a text, and as it is stored.

    The stored id is None if the text cannot be one.
    """

    name: str
    text: str
    record_id: RecordId | None

    def check(self, read: Decoded) -> None:
        """Check that nothing but this record was read; what is no record of the type is a reject like any other.

        Raises:
            ProblemError: `id_mismatch`.
        """
        ids = read.rows.ids
        if len(ids) + len(read.rejects) != 1 or (ids and ids[0] != self.record_id):
            wrong = FieldError(name=self.name, message="must be the id in the path", example=self.text[:128])
            detail = f"expected one record whose `{self.name}` is the id in the path"
            raise ProblemError("id_mismatch", detail, errors=(wrong,))


class Submission:
    """Stores records sent over HTTP, and reports the result for each."""

    def __init__(self, *, table: Table, intake: Intake, pipeline: Pipeline) -> None:
        self.table, self._intake, self._pipeline = table, intake, pipeline
        self._version_attribute = "" if table.versions is None else table.versions.attribute
        # Anyone could test guesses of a dropped or redacted value against a digest without a key.
        self._hasher = table.hasher if holds_personal_data(table) else None

    async def put(self, request: Ask) -> Response[bytes]:
        """Store the one record of `request`, whose id its path has.

        Raises:
            ProblemError: as of `take`; or the body is not that record.
        """
        if (column := self.table.id) is None:
            raise TypeError("no record of this stream has a path")
        text = paths.id_in_path(request.scope)
        return await self.take(request, One(column.name, text, read_id(column, text)))

    async def take(self, request: Ask, only: One | None = None) -> Response[bytes]:
        """Store the records of `request`; with `only`, that one.

        Raises:
            ProblemError: nothing was stored, or it is not known whether.
        """
        caller = request.state.principal.name
        body, reservation = await self._intake.read(dict(request.scope["headers"]), request.receive, caller)
        try:
            message, digest = _message(request, body, self._version_attribute, self._hasher)
            known = self._pipeline.digest(message.key)
            if known is not None and known != digest:
                detail = "this Idempotency-Key was already used with another body; the first request counts"
                raise ProblemError("idempotency_conflict", detail)
            check = None if only is None else only.check
            receipt = await self._pipeline.process(message, digest=digest, reservation=reservation, check=check)
        finally:
            reservation.release()
        return _answer(message, receipt, created=only is None)


def _message(request: Ask, body: bytes, version_attribute: str, hasher: Hasher | None) -> tuple[Message, str]:
    """Return the message of a request, and the digest that distinguishes it from others with the same key.

    A header `version_attribute`, which names the version of the records, becomes the attribute of that name. A `hasher`
    keys the digest that readers see in delivery keys.
    """
    headers = request.headers
    key, delivery, digest = f"http:{uuid.uuid4().hex}", "", ""
    version = headers.get(version_attribute, "") if version_attribute else ""
    keys = headers.getall("idempotency-key", [])
    if keys:
        if len(keys) > 1 or not (0 < len(keys[0]) <= _MAX_KEY_LENGTH and keys[0].isascii() and keys[0].isprintable()):
            expected = f"expected one key of 1 to {_MAX_KEY_LENGTH} printable ASCII characters"
            wrong = FieldError(name="Idempotency-Key", message=expected, example="order-1042-attempt")
            raise ProblemError("invalid_parameter", "the Idempotency-Key header is not valid", errors=(wrong,))
        key = "http:" + _hash(request.state.principal.name, keys[0])
        # The delivery key covers the whole request. If a key is reused by mistake, another body is another delivery,
        # even if no instance remembers the first one.
        how = (request.scope["path"], headers.get("content-type"), headers.get("content-encoding"), version)
        digest = _hash(*map(str, how), hashlib.sha256(body).hexdigest())
        delivery = "http:" + _hash(key, digest, hasher=hasher)
    parent, span = parse_traceparent(headers.get("traceparent", "")), current_span()
    message = Message(
        key=key,
        delivery=delivery,
        data=body,
        attributes={version_attribute: version} if version else {},
        content_type=headers.get("content-type", ""),
        content_encoding=headers.get("content-encoding", ""),
        trace_id=parent.trace_id if parent else trace_id_of(span),
        span=span,
    )
    return message, digest


def _hash(*parts: str, hasher: Hasher | None = None) -> str:
    data = "\0".join(parts).encode()
    return (hashlib.sha256(data).hexdigest() if hasher is None else hasher.digest(data))[:32]


def _answer(message: Message, receipt: Receipt, *, created: bool) -> Response[bytes]:
    stored = [
        RecordResult(index=index, status="stored", id=record_id, delivery_key=message.delivery_key(index))
        for index, record_id in receipt.stored
    ]
    if not receipt.rejected:
        return Response(msgspec.json.encode(StoredAnswer(stored)), status_code=201 if created else 200, media_type=JSON)
    if not stored:
        errors = tuple(islice(_errors(receipt), _MAX_ERRORS))
        detail = "every record of the request was rejected; read /v1/rejects for the reasons"
        raise ProblemError("rejected", detail, errors=errors, members={"rejected": len(receipt.rejected)})
    rejected = [
        RecordResult(
            index=reject.index,
            status="rejected",
            delivery_key=message.delivery_key(reject.index),
            reason=reject.reason,
            field=reject.field,
            detail=reject.detail,
            errors=[FieldError(name=fault.field or "", message=fault.detail) for fault in reject.faults] or None,
        )
        for reject in receipt.rejected
    ]
    results = sorted(stored + rejected, key=lambda result: result.index)
    return Response(msgspec.json.encode(MixedAnswer(results)), status_code=207, media_type=JSON)


def _errors(receipt: Receipt) -> Iterator[FieldError]:
    """Yield the errors of each rejected record, named by its position in the request and the field's path."""
    for rejection in receipt.rejected:
        for fault in rejection.faults or (FieldFault(rejection.field, rejection.detail),):
            name = f"[{rejection.index}]" + (f".{fault.field}" if fault.field else "")
            yield FieldError(name=name, message=fault.detail)


_PROBLEMS = {
    400: "A header is not valid, or the body ended early.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
    408: "The body arrived too slowly.",
    413: "The body is too large.",
    422: "No record could be stored; `errors` gives the errors of each record.",
    429: "Too many messages are in flight, or the store's quota is exhausted.",
    503: "The records were not stored in time; send the request again, preferably with the same Idempotency-Key.",
}
_PARAMETERS = {
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


def _create_contract(table: Table) -> Contract:
    """Return the contract of POST, for records of `table`."""
    record, example = _sent(table), example_record(table)
    document = media({"anyOf": [record, {"type": "array", "items": record, "minItems": 1}]}, example)
    line = None if example is None else msgspec.json.encode(example).decode() + "\n"
    lines = media({"type": "string", "description": "One record per line."}, line)
    mixed = media(MixedAnswer, {"results": [_STORED_RESULT, _REJECTED_RESULT]})
    return Contract(
        parameters=_parameters(table),
        body={JSON: document, "application/x-ndjson": lines},
        answers={201: _STORED, 207: Answer("Some were rejected.", {JSON: mixed})},
        problems=_PROBLEMS,
    )


def _sent(table: Table) -> Any:
    """Return the schema of a record that is sent to `table`: that of any version, newest first."""
    if table.versions is None:
        return Sent(table.record_type)
    return {"anyOf": [Sent(each) for each in reversed(table.versions.types)]}


def _parameters(table: Table) -> dict[str, Parameter]:
    """Return the headers of a submission."""
    if table.versions is None or not table.versions.attribute:
        return _PARAMETERS
    *_, newest = names = table.versions.names
    version = Parameter(
        f"The version of the records; by default the oldest, `{names[0]}`.",
        newest,
        {"type": "string", "enum": [*names]},
        location="header",
    )
    return {**_PARAMETERS, table.versions.attribute: version}


def _put_contract(table: Table) -> Contract:
    """Return the contract of PUT, for records of `table`."""
    return Contract(
        parameters={**paths.RECORD_ID, **_parameters(table)},
        body={JSON: media(_sent(table), example_record(table))},
        answers={200: _STORED},
        problems=_PROBLEMS,
    )


_CREATE: EndpointSpec[Submission, Submission] = EndpointSpec(
    path="/records",
    make=lambda submission: submission,
    respond=Submission.take,
    contract=lambda submission: _create_contract(submission.table),
    scope="write",
    name="createRecords",
    summary="Store records",
    text="Send one record, a JSON array of records, or NDJSON (set Content-Type), optionally compressed with gzip (set "
    "Content-Encoding). The response follows when the records are durable. With an `Idempotency-Key`, a repeated "
    "request stores nothing twice.",
    methods=(HttpMethod.POST,),
    status_code=201,
    tag="ingest",
    is_read=False,
)
_PUT: EndpointSpec[Submission, Submission] = EndpointSpec(
    path="/records/{record_id:str}",
    make=lambda submission: submission if submission.table.id is not None else None,
    respond=Submission.put,
    contract=lambda submission: _put_contract(submission.table),
    scope="write",
    name="putRecord",
    summary="Store a new version of a record",
    text="Send one record, whose id is the one in the path. Earlier versions are kept.",
    methods=(HttpMethod.PUT,),
    tag="ingest",
    is_read=False,
)
SUBMISSIONS = (
    _CREATE,
    _PUT,
    # An id may hold slashes, and the route above ends at the first one.
    msgspec.structs.replace(_PUT, path=f"{_PUT.path}/{{rest:path}}", name=""),
)
