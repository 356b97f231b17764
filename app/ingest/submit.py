"""`POST /v1/records` and `PUT /v1/records/{id}`: records over HTTP, through the same pipeline as pushes."""

import hashlib
import uuid
from typing import Any, Literal, assert_never

import msgspec
from litestar import Request, Response, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from app import paths
from app.errors import FieldError, ProblemError, problem_responses
from app.ingest.admission import Admission
from app.ingest.compression import GzipError, GzipTooLargeError, gunzip
from app.ingest.dedupe import Conflict
from app.ingest.envelope import Message, trace_id
from app.ingest.pipeline import Pipeline, Receipt
from app.ingest.push import not_admitted, not_durable, read_body
from app.ingest.verdict import Durable, Throttled, Unavailable
from app.schema.table import Table

_MAX_KEY_LENGTH = 255
_Request = Request[Any, Any, Any]


class RecordResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one record: its position in the request, and its keys or what was wrong with it."""

    index: int
    status: Literal["stored", "rejected"]
    delivery_key: str
    id: str | int | None = None
    reason: str | None = None
    field: str | None = None
    detail: str | None = None


class StoredAnswer(msgspec.Struct, frozen=True):
    """Every record is stored."""

    records: list[RecordResult]


class MixedAnswer(msgspec.Struct, frozen=True):
    """Some records are stored; the others were rejected, and can be read at `/v1/rejects`."""

    results: list[RecordResult]


class Submission:
    """Takes records over HTTP and says what became of each."""

    def __init__(self, *, table: Table, admission: Admission, pipeline: Pipeline, max_body_bytes: int) -> None:
        self._table, self._admission, self._pipeline = table, admission, pipeline
        self._max_body_bytes = max_body_bytes

    async def take(self, request: _Request, record_id: str | None = None) -> Response[bytes]:
        """Store the records of `request`; with `record_id`, the one record of that id.

        Raises:
            ProblemError: nothing was stored, or it is not known whether.
        """
        headers = request.scope["headers"]
        body = await read_body(headers, request.receive, self._max_body_bytes)
        refusal = self._admission.enter(len(body))
        if refusal is not None:
            raise not_admitted(refusal)
        try:
            message = _message(request, body)
            if record_id is not None:
                message = self._one_record(message, record_id)
            # With a key of the caller's own, another body under it is a mistake that can be told.
            digest = hashlib.sha256(body).hexdigest() if "idempotency-key" in request.headers else ""
            receipt = await self._pipeline.process(message, digest)
        finally:
            self._admission.leave(len(body))
        if isinstance(receipt, Conflict):
            detail = "this Idempotency-Key came with another body before, and that one counts"
            raise ProblemError("idempotency_conflict", detail)
        match receipt.verdict:
            case Durable():
                return _answer(message, receipt, created=record_id is None)
            case Unavailable() | Throttled() as verdict:
                raise not_durable(verdict)
        assert_never(receipt.verdict)

    def _one_record(self, message: Message, record_id: str) -> Message:
        """Check that `message` is one record and that its id is the path's.

        Raises:
            ProblemError: rejected, naming the id field.
        """
        name = self._table.id.name if self._table.id else ""
        data = message.data
        if message.content_encoding.lower() == "gzip":
            try:
                data = gunzip(data, self._max_body_bytes)
            except (GzipError, GzipTooLargeError) as error:
                raise ProblemError("rejected", str(error)) from None
        try:
            found = msgspec.json.decode(data, type=dict[str, Any]).get(name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProblemError("rejected", f"expected one record, a JSON object: {error}") from None
        if str(found) != record_id:
            wrong = FieldError(name=name, message="must be the id in the path", example=record_id)
            raise ProblemError("rejected", f"the record's `{name}` is not the id in the path", errors=(wrong,))
        return msgspec.structs.replace(message, data=data, content_encoding="", content_type="application/json")


def _message(request: _Request, body: bytes) -> Message:
    headers = request.headers
    key = headers.get("idempotency-key")
    if key is None:
        key = uuid.uuid4().hex
    elif not (0 < len(key) <= _MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        wrong = FieldError(
            name="Idempotency-Key",
            message=f"expected 1 to {_MAX_KEY_LENGTH} printable ASCII characters",
            example="order-1042-attempt",
        )
        raise ProblemError("invalid_parameter", "the Idempotency-Key header is not usable", errors=(wrong,))
    else:
        key = hashlib.sha256(f"{request.state.principal}\0{key}".encode()).hexdigest()[:32]
    return Message(
        key=f"http:{key}",
        data=body,
        content_type=headers.get("content-type", ""),
        content_encoding=headers.get("content-encoding", ""),
        trace_id=trace_id(headers.get("traceparent", "")),
    )


def _answer(message: Message, receipt: Receipt, *, created: bool) -> Response[bytes]:
    stored = [
        RecordResult(index=index, status="stored", id=record_id, delivery_key=message.delivery_key(index))
        for index, record_id in receipt.rows
    ]
    if not receipt.rejects:
        return _json(StoredAnswer(stored), 201 if created else 200)
    if not stored:
        errors = tuple(
            FieldError(name=f"[{r.index}]" + (f".{r.field}" if r.field else ""), message=r.detail)
            for r in receipt.rejects
        )
        detail = "every record of the request was rejected; /v1/rejects keeps them"
        raise ProblemError("rejected", detail, errors=errors, members={"rejected": len(receipt.rejects)})
    rejected = [
        RecordResult(
            index=reject.index,
            status="rejected",
            delivery_key=message.delivery_key(reject.index),
            reason=reject.reason,
            field=reject.field,
            detail=reject.detail,
        )
        for reject in receipt.rejects
    ]
    return _json(MixedAnswer(sorted(stored + rejected, key=lambda result: result.index)), 207)


def _json(answer: StoredAnswer | MixedAnswer, status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(answer), status_code=status, media_type="application/json")


def submit_routes(submission: Submission, *, by_id: bool) -> list[Any]:
    """Return the routes of `submission`; the one by id only where the record type names an id."""

    @post(
        paths.RECORDS,
        operation_id="createRecords",
        summary="Store records",
        description=(
            "One record, a JSON array of them, or NDJSON (by Content-Type), optionally gzip'd (Content-Encoding). "
            "Answered when they are durable. With an `Idempotency-Key`, a repeated request stores nothing twice."
        ),
        tags=["ingest"],
        status_code=201,
        responses={201: _STORED, 207: _MIXED, **problem_responses(_PROBLEMS)},
    )
    async def create_records(request: _Request) -> Response[bytes]:
        return await submission.take(request)

    @put(
        f"{paths.RECORDS}/{{record_id:str}}",
        operation_id="putRecord",
        summary="Store a new version of a record",
        description="The body is one record, whose id must be the path's. Earlier versions are kept.",
        tags=["ingest"],
        status_code=200,
        responses={200: _STORED, **problem_responses(_PROBLEMS)},
    )
    async def put_record(
        request: _Request,
        record_id: FromPath[str],  # noqa: ARG001 - for the OpenAPI document; read exactly from the raw path
    ) -> Response[bytes]:
        return await submission.take(request, paths.id_in_path(request.scope))

    # An id may hold slashes; the route above ends at the first.
    @put(f"{paths.RECORDS}/{{record_id:str}}/{{rest:path}}", status_code=200, include_in_schema=False)
    async def put_record_with_slashes(request: _Request) -> Response[bytes]:
        return await submission.take(request, paths.id_in_path(request.scope))

    return [create_records, put_record, put_record_with_slashes] if by_id else [create_records]


_STORED = ResponseSpec(data_container=StoredAnswer, description="Every record is stored.", generate_examples=False)
_MIXED = ResponseSpec(data_container=MixedAnswer, description="Some were rejected.", generate_examples=False)
_PROBLEMS = {
    400: "A header is not valid.",
    401: "No token, or not a valid one.",
    403: "The caller may not do that.",
    413: "The body is too large.",
    422: "No record could be stored; `errors` says what is wrong with each.",
    429: "Too much is in flight, or the store's quota is used up.",
    503: "Not durable in time: to be sent again, best with the same Idempotency-Key.",
}
