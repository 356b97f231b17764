"""The steps: check readiness, send a record, find it in the feed as a consumer does, and read it by its id.

Each step returns a line that describes its result, or raises SluiceError, which ends the run.
"""

import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from sluice.ops.service import Service
from sluice_client import Feed, SluiceError

PREFIX = "smoke-"
PLACEHOLDER = "{smoke}"
"""The placeholder for the id in a user's own file."""
_OWN_FILE = f"give your own record with --data FILE, in which {PLACEHOLDER} is replaced by a new id each time"
_LONGEST_WAIT_S = 20
_SINCE = "-PT5M"  # ample: the first poll comes moments after the record was sent
Publish = Callable[[bytes], str]
"""Publishes a record, and returns Pub/Sub's id of the message; raises SluiceError."""


class Step(msgspec.Struct, frozen=True):
    """One completed step."""

    name: str
    passed: bool
    took_s: float
    said: str


class Report(msgspec.Struct, kw_only=True):
    """What `--json` prints."""

    passed: bool = False
    url: str
    way: str
    record: dict[str, Any] = {}
    delivery_key: str | None = None
    durable_s: float | None = None
    visible_s: float | None = None
    within_s: float
    steps: list[Step] = []


class Journey:
    """One record's way through `service`, posted to `ingest`, which may be another one, or published."""

    def __init__(self, service: Service, ingest: Service, stream: str, mark: str, report: Report) -> None:
        self._service, self._ingest, self._mark, self.report = service, ingest, mark, report
        self._feed = Feed(stream)
        self._sent_s = time.monotonic()
        self._only: dict[str, str] = {}
        self._row: dict[str, Any] = {}
        self.id_field: str | None = None

    def run(self, own: dict[str, Any] | None, publish: Publish | None) -> None:
        """Take the steps in order, up to the first that fails; `own` is sent instead of the service's example."""
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("ready", self._ready),
            ("schema", lambda: self._schema(own)),
            ("send", self._post if publish is None else lambda: self._publish(publish)),
            ("feed", self._follow),
            ("by id", self._look_up),
        )
        for name, step in steps:
            begun_s = time.monotonic()
            try:
                said, self.report.passed = step(), True
            except SluiceError as error:
                said, self.report.passed = self._service.explain(error), False
            self.report.steps.append(Step(name, self.report.passed, round(time.monotonic() - begun_s, 3), said))
            if not self.report.passed:
                return

    def _ready(self) -> str:
        health = self._service.health(self.report.within_s)
        return f"{health['system']} {health['version']}, store {health['store']['kind']}, ACTIVE"

    def _schema(self, own: dict[str, Any] | None) -> str:
        tables = self._service.get(f"{self._feed.below}/schema")["tables"]
        (table,) = (table for table in tables if table["path"] == self._feed.path)
        self.id_field = table["id"]
        if own is None:  # only the document of the service that accepts records has an example of one
            document = self._ingest.get("/openapi/openapi.json")
            own = record_of_example(document, self._feed.path, self.id_field, self._mark)
        self.report.record = own
        return f"{len(table['columns'])} columns, version {table['schema_version']}"

    def _post(self) -> str:
        self._sent_s = time.monotonic()
        stream = self._feed.stream
        (sent,) = self._ingest.client.publish([self.report.record], idempotency_key=self._mark, stream=stream)
        if not sent.is_stored or sent.delivery_key is None:
            raise SluiceError(f"it was rejected: {sent.detail} (--data FILE sends another record than the example)")
        self.report.durable_s = self._elapsed_s()
        self._only = {"delivery_key": sent.delivery_key}
        return f"durable in {self.report.durable_s} s"

    def _publish(self, publish: Publish) -> str:
        self._sent_s = time.monotonic()
        message_id = publish(msgspec.json.encode(self.report.record))
        self._only = {"message_id": message_id}
        return f"published as message {message_id}"

    def _follow(self) -> str:
        report, last = self.report, ""
        feed = msgspec.structs.replace(self._feed, filters=self._only | {"heartbeat": "include"})
        wait_s = min(int(report.within_s / 3), _LONGEST_WAIT_S)
        for page in self._service.client.follow(_SINCE, feed=feed, wait_s=wait_s):
            if page.records or self._elapsed_s() > report.within_s:
                last = page.window.until
                break
        report.visible_s = self._elapsed_s()
        if not page.records:
            raise SluiceError(
                f"the record was accepted but did not appear in the feed within {report.within_s:g} s (the last window "
                f"ended at {last}). {self._rejection()}"
            )
        self._row = page.records[0]
        report.delivery_key = self._row.get("delivery_key")
        if len(page.records) > 1:
            raise SluiceError(f"the feed shows the sent record {len(page.records)} times")
        if report.visible_s > report.within_s:
            raise SluiceError(f"visible {report.visible_s} s after it was sent; the limit is {report.within_s:g} s")
        return f"visible after {report.visible_s} s (limit: {report.within_s:g} s)"

    def _look_up(self) -> str:
        if self.id_field is None:
            return "this record type has no id: nothing to look up"
        path = f"{self._feed.path}/{quote(str(self._row[self.id_field]), safe='')}"
        found = self._service.get(path, heartbeat="include")["delivery_key"]
        if found != self.report.delivery_key:
            raise SluiceError(f"GET {path} returns the delivery {found}")
        return f"GET {path}"

    def _rejection(self) -> str:
        """Return why the service did not store it, if that can be found out, or else where to look."""
        with suppress(SluiceError):
            for reject in self._service.client.walk(_SINCE, feed=Feed(rejects=True, filters=self._only)):
                return f"It was rejected: {reject['reason']}, {reject['detail']}"
        return (
            "Check that SLUICE_SETTLE_S is below this time, that the caller has no filters of its own (docs/access.md) "
            "and, with --topic, that the subscription pushes to this service with its audience and principal."
        )

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._sent_s, 3)


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
    for name in ("paths", path, "post", "requestBody", "content", "application/json", "example"):
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
