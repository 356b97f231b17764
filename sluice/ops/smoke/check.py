"""The steps: check readiness, read the schema, send a record, read it by id, find it in the feed, count it.

Each step returns a line that describes its result, or raises SmokeError, which ends the run.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from sluice.ops.smoke.client import Answer, Client, SmokeError, refusal
from sluice.ops.smoke.record import differences

_LONGEST_WAIT_S = 30
_PAUSE_S = 0.5
_SINCE = "-PT5M"  # ample: the first poll comes moments after the record was sent
_AGAIN = (429, 503)


class Sent(msgspec.Struct, frozen=True):
    """How the record was sent, and the query parameter that finds exactly its row."""

    said: str
    parameter: str
    value: str


class Sender(Protocol):
    """Sends one record, with retries until `deadline` (time.monotonic) if these are safe."""

    def __call__(self, record: dict[str, Any], deadline: float) -> Sent:
        """Return once the record was accepted. Raises SmokeError if it was not."""


class Step(msgspec.Struct, frozen=True):
    """One completed step."""

    name: str
    passed: bool
    took_s: float
    said: str


class Check:
    """One run; its attributes hold what it learns on the way.

    `ingest` is the service that records are posted to: the one that is read, or another. `api` is the path of the
    stream: `/v1`, or that of a named one.
    """

    def __init__(self, client: Client, ingest: Client, *, has_token: bool, within_s: float, api: str = "/v1") -> None:
        self._api = api
        self._client, self._ingest, self._has_token, self._within_s = client, ingest, has_token, within_s
        self._began = self._sent_at = time.monotonic()
        self.id_field: str | None = None
        self.record: dict[str, Any] = {}
        self.row: dict[str, Any] = {}
        self.sent: Sent | None = None
        self.durable_s: float | None = None
        self.visible_s: float | None = None

    def run(self, make_record: Callable[[dict[str, Any], str | None], dict[str, Any]], send: Sender) -> list[Step]:
        """Run the steps in order, up to the first that fails."""
        taken: list[Step] = []
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("ready", self._ready),
            ("schema", lambda: self._schema(make_record)),
            ("send", lambda: self._send(send)),
            ("feed", self._feed),
            ("by id", self._by_id),
            ("statistics", self._statistics),
        )
        for name, step in steps:
            begun = time.monotonic()
            try:
                passed, outcome = True, step()
            except SmokeError as error:
                passed, outcome = False, str(error)
            taken.append(Step(name, passed, round(time.monotonic() - begun, 3), outcome))
            if not passed:
                break
        return taken

    def _ready(self) -> str:
        deadline = self._began + self._within_s
        while (answer := self._client.get("/health/ready", {"strict": "1"})).status == 503:
            health = answer.json()
            if health.get("status") != "starting" or time.monotonic() > deadline:
                raise SmokeError(f"not ready: {_trouble(health)}")
            time.sleep(_PAUSE_S)
        health = self._good("GET /health/ready", answer).json()
        return f"{health['system']} {health['version']}, store {health['store']['kind']}, ACTIVE"

    def _schema(self, make_record: Callable[[dict[str, Any], str | None], dict[str, Any]]) -> str:
        tables = self._get(f"{self._api}/schema").json()["tables"]
        (table,) = (table for table in tables if table["path"] == f"{self._api}/records")
        self.id_field = table["id"]
        # Only the document of the service that accepts records has an example of one.
        document = self._good("GET /openapi/openapi.json", self._ingest.get("/openapi/openapi.json")).json()
        self.record = make_record(document, self.id_field)
        return f"{len(table['columns'])} columns, version {table['schema_version']}"

    def _send(self, send: Sender) -> str:
        self._sent_at = time.monotonic()
        self.sent = send(self.record, self._sent_at + self._within_s)
        self.durable_s = round(time.monotonic() - self._sent_at, 3)
        return f"{self.sent.said} in {self.durable_s} s"

    def _feed(self) -> str:
        """Follow the feed, as a consumer does, by its cursors."""
        deadline, looks, last = self._sent_at + self._within_s, 0, ""
        at = {"since": _SINCE}
        while (left_s := deadline - time.monotonic()) > 0 or looks == 0:
            wait_s = max(0, min(int(left_s), _LONGEST_WAIT_S))
            answer = self._client.get(
                f"{self._api}/records", at | self._only_it() | {"wait": str(wait_s)}, timeout_s=wait_s + 30.0
            )
            looks += 1
            if answer.status in _AGAIN:
                last = str(refusal(f"GET {self._api}/records", answer, has_token=self._has_token))
                time.sleep(_PAUSE_S)
                continue
            page = self._good(f"GET {self._api}/records", answer).json()
            if page["records"]:
                return self._seen(page["records"], looks)
            last = f"the last window ended at {page['window']['until']}"
            at = {"cursor": page["next_cursor"] or page["resume_cursor"]}
            time.sleep(0 if page["next_cursor"] else min(page["poll_after"], max(deadline - time.monotonic(), 0)))
        raise SmokeError(
            f"the record was accepted but did not appear in the feed within {self._within_s:g} s ({looks} "
            f"reads; {last}). {self._rejection()}"
        )

    def _seen(self, rows: list[dict[str, Any]], looks: int) -> str:
        self.visible_s = round(time.monotonic() - self._sent_at, 3)
        if len(rows) != 1:
            raise SmokeError(f"the feed shows the sent record {len(rows)} times")
        self.row = rows[0]
        if wrong := differences(self.record, self.row):
            raise SmokeError(f"the record in the feed differs from the one sent: {', '.join(wrong)}")
        if self.visible_s > self._within_s:  # the last poll took long
            raise SmokeError(f"visible {self.visible_s} s after it was sent; the limit is {self._within_s:g} s")
        return f"visible after {self.visible_s} s (limit: {self._within_s:g} s), {looks} reads, every field as sent"

    def _by_id(self) -> str:
        if self.id_field is None:
            return "this record type has no id: nothing to look up"
        path = f"{self._api}/records/{quote(str(self.row[self.id_field]), safe='')}"
        served = self._get(path, {"heartbeat": "include"}).json()
        if wrong := differences(self.record, served):
            raise SmokeError(f"GET {path} differs from the record sent: {', '.join(wrong)}")
        return f"GET {path}: as sent"

    def _statistics(self) -> str:
        answer = self._get(f"{self._api}/records/stats", {"since": _SINCE} | self._only_it()).json()
        counted = sum(sum(series["values"]["count"]) for series in answer["series"])
        if counted != 1:
            raise SmokeError(f"{self._api}/records/stats counts the sent record {counted} times")
        return "counted once"

    def _only_it(self) -> dict[str, str]:
        assert self.sent is not None  # noqa: S101 - the steps are in order
        return {self.sent.parameter: self.sent.value, "heartbeat": "include"}

    def _rejection(self) -> str:
        """Return why the service did not store it, if that can be found out, or else where to look."""
        assert self.sent is not None  # noqa: S101 - the steps are in order
        parameters = {"since": _SINCE, self.sent.parameter: self.sent.value, "limit": "1"}
        answer = self._client.get("/v1/rejects", parameters)
        rejects = answer.json()["records"] if answer.status == 200 else []
        if rejects:
            return f"It was rejected: {rejects[0]['reason']}, {rejects[0]['detail']}"
        if self.sent.parameter == "message_id":
            return (
                "Check that the subscription pushes to this service with its audience and principal, for "
                "example by its backlog. Check that the caller has no filters of its own (docs/access.md)."
            )
        return (
            "Check that SLUICE_SETTLE_S is below this time, and that the caller has no filters of its own "
            "(docs/access.md)."
        )

    def _get(self, path: str, parameters: dict[str, str] | None = None) -> Answer:
        return self._good(f"GET {path}", self._client.get(path, parameters))

    def _good(self, request: str, answer: Answer) -> Answer:
        if answer.status != 200:
            raise refusal(request, answer, has_token=self._has_token)
        return answer


def _trouble(health: dict[str, Any]) -> str:
    """Return the problems that a readiness response reports."""
    reasons = [] if health.get("status") == "ready" else [f"the instance is {health.get('status')}"]
    if health.get("status") == "starting":
        reasons = ["the instance is starting: it has no keys yet to verify tokens (SLUICE_TOKEN_KEYS_URL)"]
    for table, sink in health.get("sinks", {}).items():
        if sink["state"] != "ACTIVE" or sink.get("stuck"):
            reasons.append(_fault(f"table {table}", sink))
    reads = (health.get("store") or {}).get("reads")
    if reads and reads["state"] != "ACTIVE":
        reasons.append(_fault("reads", reads))
    return "; ".join(reasons) or "the service gives no reason"


def _fault(what: str, standing: dict[str, Any]) -> str:
    detail, help_text = standing.get("detail"), standing.get("help")
    text = f"{what}: {standing['state']}" + (f", {detail}" if detail else "")
    return text + (f" (see {help_text})" if help_text else "")
