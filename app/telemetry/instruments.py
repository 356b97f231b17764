"""Every metric of the service: its name, unit, meaning, attributes and buckets. Pure data.

Alerts, objectives and boards use them
(infra/terraform/monitoring). A name is the final Prometheus name, with its unit and `_total`, and an attribute is a
valid label. So every receiver keeps both, whether it translates OpenTelemetry's names or not
(docs/decisions/0015-metrics-by-otlp.md). Units are UCUM's.
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A metric. `attributes` are all that its points may have; `bounds` are a histogram's inclusive upper bounds.

    `noun` is what is counted, where the name ends with no unit.

    Collectors show `description`; `meaning` adds an explanation for people, in docs/metrics.md.

    `starts` are the attribute values whose series exist from the start, at 0. An objective can only be created on a
    metric that has been written, and `increase` does not see the first increase of a series that begins at 1.
    """

    name: str
    description: str
    noun: str = ""
    meaning: str = ""
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    starts: tuple[tuple[str | int, ...], ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind, which the name says of a counter."""
        return "histogram" if self.bounds else "counter" if self.name.endswith("_total") else "gauge"

    @property
    def unit(self) -> str:
        """The unit, which the name ends with; without one, what is counted."""
        units = {"seconds": "s", "bytes": "By"}
        return units.get(self.name.removesuffix("_total").rpartition("_")[2], f"{{{self.noun}}}")


# The objective is 5 s until stored and 60 s until visible; the ack deadline is 60 s, and a retry comes within 600 s.
_DELAYS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3_600.0)
# For requests, the objective is 300 ms and the alert 500 ms; for queries, both are 2 s.
_ANSWERS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0)
_BYTES = (256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 9_000_000.0)

PUBLISH_TO_STORED = Instrument(
    name="sluice_message_stored_delay_seconds",
    description="Time from a message's publication until it is durable",
    meaning="A key latency, measured from Pub/Sub's publish time. A redelivered message counts from its publication.",
    attributes=("stream",),
    bounds=_DELAYS_S,
    starts=(("records",),),
)
RECORDS_STORED = Instrument(
    name="sluice_record_stored_total",
    noun="record",
    description="Records made durable, by stream",
    meaning="The throughput. Alert on a rate far from the expected one.",
    attributes=("stream",),
)
RECORDS_REJECTED = Instrument(
    name="sluice_record_rejected_total",
    noun="record",
    description="Records rejected, by reason and stream",
    meaning="They are stored in `records_rejected` with the reason. A sudden rise usually follows a producer's "
    "release. `stream` is `-` for messages that no stream takes (reason `unroutable`).",
    attributes=("reason", "stream"),
    starts=(("invalid", "records"),),
)
MEMBERS_UNDECLARED = Instrument(
    name="sluice_member_undeclared_total",
    noun="member",
    description="Undeclared members of stored records, by outcome and stream",
    meaning="`outcome` is kept (in the record type's rest) or dropped. Rejects name those of a rejected record.",
    attributes=("outcome", "stream"),
)
MESSAGES_DUPLICATE = Instrument(
    name="sluice_message_duplicate_total",
    noun="message",
    description="Repeated deliveries of messages that this instance has already seen, by stream",
    meaning="Pub/Sub delivers at least once. A high rate means that answers arrive after the ack deadline.",
    attributes=("stream",),
)
MESSAGES_UNPROVED = Instrument(
    name="sluice_message_unproved_total",
    noun="message",
    description="Messages with a canary or replay attribute and no valid signature",
    meaning="They are stored as ordinary messages. Either a publisher uses an attribute reserved for signed "
    "messages, or a secret is out of date.",
)
APPEND_DURATION = Instrument(
    name="sluice_append_duration_seconds",
    description="Duration of append attempts, by table and outcome",
    meaning="One point per attempt. `outcome` is stored, refused, held (a column is missing), too_large, "
    "uncertain, quota, setup or given_up (the service stopped).",
    attributes=("table", "outcome"),
    bounds=_ANSWERS_S,
)
APPEND_ROWS = Instrument(
    name="sluice_append_rows",
    noun="row",
    description="Rows per append, by table",
    meaning="It grows with the load: while one append is in flight, the next one fills.",
    attributes=("table",),
    bounds=_ROWS,
)
APPEND_SIZE = Instrument(
    name="sluice_append_size_bytes",
    description="Bytes of rows per append, by table",
    meaning="BigQuery bills by it. The sum is the volume written, retries included.",
    attributes=("table",),
    bounds=_BYTES,
)
ROWS_LATE = Instrument(
    name="sluice_row_late_total",
    noun="row",
    description="Rows acknowledged so late after their timestamp that readers may have passed them, by table",
    meaning="Each was appended once more under another key (docs/runbook.md). The process was held up for "
    "longer than `SLUICE_SETTLE_S` allows: too little CPU, a suspended machine, or a debugger.",
    attributes=("table",),
)
APPEND_CONNECTIONS = Instrument(
    name="sluice_append_connections",
    noun="connection",
    description="Open connections for appends, by table",
    meaning="At four a table, the connections limit the throughput.",
    attributes=("table",),
)
IN_FLIGHT_MESSAGES = Instrument(
    name="sluice_in_flight_messages",
    noun="message",
    description="Messages in flight",
)
IN_FLIGHT_BYTES = Instrument(
    name="sluice_in_flight_bytes",
    description="Bytes of the messages in flight",
    meaning="Each counts at least 48 KiB. At `SLUICE_MAX_IN_FLIGHT_BYTES`, or three quarters of it for one caller, "
    "the next message is answered 429.",
)
SINK_STATE = Instrument(
    name="sluice_sink_state",
    noun="state",  # not "1", which translators turn into the suffix _ratio
    description="State of a table: 1 for the current state, 0 for the others",
    meaning="For any state but ACTIVE, see the run-books below.",
    attributes=("table", "state"),
)
SINK_OLDEST_WAIT = Instrument(
    name="sluice_sink_oldest_wait_seconds",
    description="Age of the oldest message that waits for an append, by table",
    meaning="It grows while the store is slow, and is 0 when nothing waits.",
    attributes=("table",),
)
REQUEST_DURATION = Instrument(
    name="http_server_request_duration_seconds",
    description="Duration of requests, by route, method, status and kind",
    meaning="`sluice_request_kind` is push, write, read, wait (a read with `wait`) or stream (exports, tails). "
    "The objectives cover push, write and read. Health checks and `/metrics` are not counted.",
    attributes=("http_route", "http_request_method", "http_response_status_code", "sluice_request_kind"),
    bounds=_ANSWERS_S,
    starts=(("/v1/records", "GET", 200, "read"),),
)
QUERY_DURATION = Instrument(
    name="sluice_query_duration_seconds",
    description="Duration of queries in the store, by purpose and outcome",
    meaning="`outcome` is ok, too_expensive, timeout, busy, unavailable, cancelled or defect.",
    attributes=("purpose", "outcome"),
    bounds=_ANSWERS_S,
    starts=(("page", "ok"),),
)
QUERY_BYTES = Instrument(
    name="sluice_query_processed_bytes_total",
    description="Bytes the store read for queries, by purpose",
    meaning="BigQuery's on-demand pricing bills by it (at least 10 MB per query). The embedded store does not "
    "report it.",
    attributes=("purpose",),
)
WINDOW_READS = Instrument(
    name="sluice_window_reads_total",
    noun="range",
    description="Ranges that queries needed, by how the window got them",
    meaning="`outcome` is loaded (they were in memory), read (from the store), shared (another request was reading "
    "it) or passed_on (the store answered the rest of the query by itself).",
    attributes=("outcome",),
)
BYTE_BUDGET_REFUSALS = Instrument(
    name="sluice_byte_budget_refusals_total",
    noun="request",
    description="Reads refused because the budget of billed bytes was used up",
    meaning="`whose` is caller (its share) or instance: `SLUICE_BYTES_BILLED_PER_DAY`.",
    attributes=("whose",),
)
CACHE_ANSWERS = Instrument(
    name="sluice_cache_answers_total",
    noun="answer",
    description="Responses of the API, by use of the cache",
    meaning="`state` is hit, joined (an equal request was in flight), revalidated (304), miss or bypass (not "
    "cacheable).",
    attributes=("state",),
)
READER_LAG = Instrument(
    name="sluice_reader_lag_seconds",
    description="How far a named reader is behind the settled horizon, by table",
    meaning="At most 100 readers, each until a week after its last request (docs/api.md). An instance that a reader "
    "has left shows its old position: take the least over instances.",
    attributes=("table", "reader"),
)
MIRROR_LAG = Instrument(
    name="sluice_mirror_lag_seconds",
    description="Time for which a mirror has not read its source",
    meaning="It grows while the source is away, and while the mirror catches up; reads go on.",
)
CANARY_DELAY = Instrument(
    name="sluice_heartbeat_delay_seconds",
    description="Time from a canary's publication until it is readable from the feed",
    meaning="It covers the whole path from publisher to consumer. Where canaries are published, alert on missing "
    "points.",
    bounds=_DELAYS_S,
    starts=((),),
)
CANARY_MISSED = Instrument(
    name="sluice_heartbeat_missed_total",
    noun="heartbeat",
    description="Canaries that were stored and could not be read in time",
    meaning="Records are written but the feed does not show them: check the state of the source in `/health/ready`.",
)

CATALOGUE = tuple(value for value in list(globals().values()) if isinstance(value, Instrument))
"""Every metric, in the order above."""
BY_NAME = {instrument.name: instrument for instrument in CATALOGUE}
