"""`POST /v1/records` and `PUT /v1/records/{id}`: records over HTTP, through the same pipeline as pushes.

The same for each stream, under `/v1/streams/{stream}/records`.
"""

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, assert_never

import msgspec
from litestar import Request, Response, post, put

from app.http import paths
from app.http.contract import CONTRACT, OF_DEFAULT, PER_STREAM, STREAM, undocumented
from app.http.problems import FieldError, ProblemError
from app.ingest.contracts import MixedAnswer, RecordResult, StoredAnswer, create_contract, put_contract
from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import FieldFault
from app.ingest.decode.payload import is_followed_by_another, is_ndjson_type
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline, Receipt
from app.ingest.verdict import Durable, Throttled, Unavailable, not_durable
from app.runtime.compression import GzipError, GzipTooLargeError, gunzip
from app.schema.protection import Hasher, holds_personal_data
from app.schema.table import Table
from app.schema.values import read_id
from app.streams import Streams
from app.telemetry.sampling import parse_traceparent
from app.telemetry.tracing import current_span, trace_id_of

_MAX_KEY_LENGTH = 255
_MAX_ERRORS = 100
_MAX_ID_BYTES = 1_024  # of JSON; no id in a path is longer
_WRITE = {"scope": "write"}  # the scope that the guard (app/auth) requires
_Request = Request[Any, Any, Any]


class Submission:
    """Stores records sent over HTTP, and reports the result for each."""

    def __init__(self, *, table: Table, intake: Intake, pipeline: Pipeline, max_record_bytes: int) -> None:
        self.table, self._id, self._intake = table, table.id, intake
        self._pipeline, self._max_record_bytes = pipeline, max_record_bytes
        self._version_attribute = "" if table.versions is None else table.versions.attribute
        # Anyone could test guesses of a dropped or redacted value against a digest without a key.
        self._hasher = table.hasher if holds_personal_data(table) else None

    async def take(self, request: _Request, record_id: str | None = None) -> Response[bytes]:
        """Store the records of `request`; with `record_id`, the one record of that id.

        Raises:
            ProblemError: nothing was stored, or it is not known whether.
        """
        caller = request.state.principal.name
        body, holding = await self._intake.read(dict(request.scope["headers"]), request.receive, caller)
        try:
            message, digest = _message(request, body, self._version_attribute, self._hasher)
            if record_id is not None:
                self._check_id(message, record_id)
            known = self._pipeline.digest(message.key)
            if known is not None and known != digest:
                detail = "this Idempotency-Key was already used with another body; the first request counts"
                raise ProblemError("idempotency_conflict", detail)
            receipt = await self._pipeline.process(message, digest=digest, detailed=True, holding=holding)
        finally:
            holding.release()
        match receipt.verdict:
            case Durable():
                return _answer(message, receipt, created=record_id is None)
            case Unavailable() | Throttled() as verdict:
                raise not_durable(verdict)
        assert_never(receipt.verdict)

    def _check_id(self, message: Message, record_id: str) -> None:
        """Check that a body is one record and that its id is the one in the path; let invalid JSON pass.

        Raises:
            ProblemError: id_mismatch, naming the id field or the header, or too_large; nothing is stored.
        """
        name = self._id.name if self._id else ""
        if is_ndjson_type(message.content_type):
            wrong = FieldError(name="Content-Type", message="PUT accepts one record", example="application/json")
            raise _not_that_record(f"NDJSON is for POST {paths.RECORDS}: expected one record as JSON", wrong)
        wrong = FieldError(name=name, message="must be the id in the path", example=record_id[:128])
        data = message.data
        try:
            if message.content_encoding.strip().lower() == "gzip":
                data = gunzip(data, self._max_record_bytes)
            if len(data) > self._max_record_bytes:  # parsing it here would hold up all other requests
                raise self._too_large()
            value = _members.decode(data).get(name)
            text = str(msgspec.json.decode(value)) if value is not None and len(value) <= _MAX_ID_BYTES else ""
        except msgspec.ValidationError:
            raise _not_that_record(f"expected one record whose `{name}` is the id in the path", wrong) from None
        except GzipTooLargeError:
            raise self._too_large() from None
        except (GzipError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if is_followed_by_another(data, str(error)):
                detail = (
                    f"POST {paths.RECORDS} accepts several records: expected one, whose `{name}` is the id in the path"
                )
                raise _not_that_record(detail, wrong) from None
            return  # the pipeline rejects it with the reason, and keeps it
        expected = read_id(self._id, record_id) if self._id else None
        if self._id is None or value is None or expected is None or read_id(self._id, text) != expected:
            raise _not_that_record(f"expected one record whose `{name}` is the id in the path", wrong)

    def _too_large(self) -> ProblemError:
        most = self._max_record_bytes
        return ProblemError("too_large", f"the record is larger than {most} bytes", members={"max_record_bytes": most})


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Decodes no values: the id check must not fail on a number elsewhere that only its declared type can read."""


def _not_that_record(detail: str, wrong: FieldError) -> ProblemError:
    return ProblemError("id_mismatch", detail, errors=(wrong,))


def _message(request: _Request, body: bytes, version_attribute: str, hasher: Hasher | None) -> tuple[Message, str]:
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
        how: tuple[Any, ...] = (
            request.method,
            request.scope["path"],
            headers.get("content-type"),
            headers.get("content-encoding"),
        )
        how += (version,) if version else ()
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
        return _json(StoredAnswer(stored), 201 if created else 200)
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
    return _json(MixedAnswer(sorted(stored + rejected, key=lambda result: result.index)), 207)


def _errors(receipt: Receipt) -> Iterator[FieldError]:
    """Yield the errors of each rejected record, named by its position in the request and the field's path."""
    for rejection in receipt.rejected:
        for fault in rejection.faults or (FieldFault(rejection.field, rejection.detail),):
            name = f"[{rejection.index}]" + (f".{fault.field}" if fault.field else "")
            yield FieldError(name=name, message=fault.detail)


def _json(answer: StoredAnswer | MixedAnswer, status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(answer), status_code=status, media_type="application/json")


def submit_routes(submissions: Mapping[str, Submission], streams: Streams) -> list[Any]:
    """Return the routes of submissions to each stream; those by id only where the record type names an id."""
    default = submissions[streams.default.name]

    async def create(submission: Submission, request: _Request) -> Response[bytes]:
        return await submission.take(request)

    async def put_one(submission: Submission, request: _Request) -> Response[bytes]:
        if submission.table.id is None:
            raise ProblemError("not_found", "the record type of this stream names no id, so no record has a path")
        return await submission.take(request, paths.id_in_path(request.scope))

    routes = [
        _create_route(
            paths.RECORDS, {CONTRACT: create_contract(default.table), STREAM: OF_DEFAULT}, partial(create, default)
        )
    ]
    if default.table.id is not None:
        routes += _put_routes(
            paths.RECORDS, {CONTRACT: put_contract(default.table), STREAM: OF_DEFAULT}, partial(put_one, default)
        )
    if streams.are_named:
        tables = {name: stream.table for name, stream in streams.by_name.items()}

        async def create_in_stream(request: _Request) -> Response[bytes]:
            return await create(paths.of_stream(submissions, request.scope), request)

        async def put_in_stream(request: _Request) -> Response[bytes]:
            return await put_one(paths.of_stream(submissions, request.scope), request)

        base = f"{paths.STREAM}/records"
        contracts = {name: create_contract(table) for name, table in tables.items()}
        routes.append(_create_route(base, {PER_STREAM: contracts}, create_in_stream))
        contracts = {name: put_contract(table) for name, table in tables.items() if table.id is not None}
        routes += _put_routes(base, {PER_STREAM: contracts}, put_in_stream)
    return routes


_Take = Callable[[_Request], Awaitable[Response[bytes]]]


def _create_route(path: str, contract: Mapping[str, Any], take: _Take) -> Any:
    @post(
        path,
        operation_id="createRecords",
        summary="Store records",
        description="Send one record, a JSON array of records, or NDJSON (set Content-Type), optionally compressed "
        "with gzip (set Content-Encoding). The response follows when the records are durable. With an "
        "`Idempotency-Key`, a repeated request stores nothing twice.",
        tags=["ingest"],
        opt={**_WRITE, **contract},
        status_code=201,
    )
    async def create_records(request: _Request) -> Response[bytes]:
        return await take(request)

    return create_records


def _put_routes(path: str, contract: Mapping[str, Any], take: _Take) -> list[Any]:
    @put(
        f"{path}/{{record_id:str}}",
        operation_id="putRecord",
        summary="Store a new version of a record",
        description="Send one record as JSON, whose id is the one in the path; an array or NDJSON is refused. Earlier "
        "versions are kept.",
        tags=["ingest"],
        opt={**_WRITE, **contract},
        status_code=200,
    )
    async def put_record(request: _Request) -> Response[bytes]:
        return await take(request)

    # An id may contain slashes; the route above stops at the first.
    @put(f"{path}/{{record_id:str}}/{{rest:path}}", opt={**_WRITE, **undocumented(contract)}, status_code=200)
    async def put_record_with_slashes(request: _Request) -> Response[bytes]:
        return await take(request)

    return [put_record, put_record_with_slashes]
