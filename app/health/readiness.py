"""What `/health/ready` says."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.stores.sink import SinkState

ACTIVE = "ACTIVE"
_WORKING = {ACTIVE, SinkState.COLUMNS_PENDING.value}
Since = Annotated[str, Meta(description="When the state began.", extra_json_schema={"format": "date-time"})]
Detail = Annotated[
    str | None,
    Meta(description='The store\'s last message; "" while healthy, null for callers who may not use `/v1`.'),
]
Help = Annotated[
    str | None,
    Meta(description="The run-book for this state, in the service's repository; null while the component is healthy."),
]


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """How queries are answered, by how the last ones ended."""

    state: str
    since: Since
    detail: Detail
    help: Help


class Sink(Reads, frozen=True, kw_only=True):
    """How one table takes rows: a named state, and what waits for it."""

    stuck: Annotated[bool, Meta(description="Whether messages have waited too long without any answer from the store.")]
    waiting: int
    oldest_wait_s: float
    connections: Annotated[int, Meta(description="Open connections for appends; 0 if the store runs in the process.")]


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Which kind of store it is; `reads` is null where the instance has no part in reading."""

    kind: str
    reads: Reads | None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this instance can serve, and how it is doing."""

    status: Literal["ready", "starting", "draining"]
    system: str
    instance: str
    version: str
    uptime_s: float
    in_flight_messages: int
    in_flight_bytes: int
    sinks: dict[str, Sink]
    store: Store
    counters: dict[str, Any] | None

    @property
    def has_trouble(self) -> bool:
        """Whether a table does not accept rows, or queries fail."""
        states = [sink.state for sink in self.sinks.values()] + ([self.store.reads.state] if self.store.reads else [])
        return any(state not in _WORKING for state in states) or any(sink.stuck for sink in self.sinks.values())


def help_link(heading: str) -> str:
    """Return the link to a heading of the run book, with its anchor as Markdown renderers make it."""
    return f"docs/runbook.md#{heading.lower()}"


EXAMPLE: dict[str, Any] = {
    "status": "ready",
    "system": "orders",
    "instance": "3f9a1c07",
    "version": "0.1.0",
    "uptime_s": 86_400.5,
    "in_flight_messages": 3,
    "in_flight_bytes": 4_096,
    "sinks": {
        "records": {
            "state": "NOT_FOUND",
            "since": "2026-01-31T12:00:00.123Z",
            "detail": None,
            "help": help_link("sink-state-not_found"),
            "stuck": False,
            "waiting": 0,
            "oldest_wait_s": 0.0,
            "connections": 1,
        }
    },
    "store": {
        "kind": "bigquery",
        "reads": {"state": "ACTIVE", "since": "2026-01-30T12:00:00.456Z", "detail": None, "help": None},
    },
    "counters": {"push_answers": {"204": 12}},
}
