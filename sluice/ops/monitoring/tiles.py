"""What is shown: the tiles of both boards, in their sections."""

import msgspec

from app.telemetry import instruments as i
from app.telemetry.instruments import Instrument
from sluice.ops.monitoring.promql import (
    ACKNOWLEDGED,
    INSTANCES,
    OLDEST_UNACKED,
    PUBLISHED,
    SENT,
    SYSTEM,
    UNDELIVERED,
    Foreign,
    ours,
    rate,
    theirs,
)

_PUSHED, _DEAD = 'subscription_id=~"${push_subscriptions}"', 'subscription_id=~"${dead_letter_subscriptions}"'
_SERVED = 'service_name=~"${services}"'
_WINDOW = "5m"


class Line(msgspec.Struct, frozen=True):
    """A query, and the legend of its lines: a text, or the labels that tell them apart."""

    query: str
    legend: str = ""
    labels: tuple[str, ...] = ()


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A chart; `unit` is UCUM's, and `objective` is drawn as a line."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    stacked: bool = False
    objective: float | None = None


class Section(msgspec.Struct, frozen=True):
    """A row of tiles under a title."""

    title: str
    tiles: tuple[Tile, ...]
    subtitle: str = ""


def _quantiles(title: str, instrument: Instrument, *matchers: str, objective: float | None = None) -> Tile:
    buckets = rate(ours(instrument, *matchers, suffix="_bucket"), _WINDOW, "le")
    lines = [Line(f"histogram_quantile({part}, {buckets})", f"p{part * 100:g}") for part in (0.5, 0.95, 0.99)]
    return Tile(title=title, unit=instrument.unit, lines=tuple(lines), objective=objective)


def _worst(title: str, unit: str, query: str, *labels: str, objective: float | None = None) -> Tile:
    return Tile(title=title, unit=unit, lines=(Line(f"topk(10, {query})", labels=labels),), objective=objective)


def _stack(title: str, unit: str, query: str, *labels: str) -> Tile:
    return Tile(title=title, unit=unit, lines=(Line(query, labels=labels),), stacked=True)


def _max(selector: str, *by: str) -> str:
    return f"max by ({', '.join(by)}) ({selector})"


def _sent(metric: Foreign, matcher: str, legend: str) -> Line:
    return Line(rate(theirs(metric, matcher), _WINDOW, "project_id"), legend)


SECTIONS = (
    Section(
        "Golden latencies",
        (
            _quantiles("Publication to stored", i.PUBLISH_TO_STORED, objective=5),
            _quantiles(
                "Requests: push, write, read",
                i.REQUEST_DURATION,
                'sluice_request_kind=~"push|write|read"',
                objective=0.3,
            ),
            _quantiles("Queries", i.QUERY_DURATION, 'purpose!="export"', objective=2),
        ),
        "The objectives: stored within 5 s (99 %), answered within 300 ms (95 %), queried within 2 s (98 %)",
    ),
    Section(
        "What comes in",
        (
            Tile(
                title="Pub/Sub messages a second: in and out",
                unit="{message}/s",
                lines=(
                    _sent(PUBLISHED, 'topic_id=~"${topics}"', "published"),
                    _sent(SENT, _PUSHED, "pushed"),
                    _sent(ACKNOWLEDGED, _PUSHED, "acknowledged"),
                ),
            ),
            _worst(
                "Records stored a second: the ten largest systems",
                "{record}/s",
                rate(ours(i.RECORDS_STORED), _WINDOW),
                SYSTEM,
            ),
            _stack(
                "Records rejected a second, by reason",
                "{record}/s",
                rate(ours(i.RECORDS_REJECTED), _WINDOW, "reason"),
                "reason",
            ),
            _worst(
                "Records rejected a second: the ten worst systems",
                "{record}/s",
                rate(ours(i.RECORDS_REJECTED), _WINDOW),
                SYSTEM,
            ),
        ),
    ),
    Section(
        "What waits",
        (
            _worst(
                "Oldest message not acknowledged: the ten worst",
                "s",
                _max(theirs(OLDEST_UNACKED, _PUSHED), "subscription_id"),
                "subscription_id",
                objective=120,
            ),
            _worst(
                "Messages not acknowledged: the ten worst",
                "{message}",
                _max(theirs(UNDELIVERED, _PUSHED), "subscription_id"),
                "subscription_id",
            ),
            _stack(
                "Dead letters that wait",
                "{message}",
                _max(theirs(UNDELIVERED, _DEAD), "subscription_id"),
                "subscription_id",
            ),
            _stack(
                "Tables that are not ACTIVE, by state",
                "{table}",
                _max(ours(i.SINK_STATE, 'state!="ACTIVE"'), SYSTEM, "table", "state"),
                *(SYSTEM, "table", "state"),
            ),
        ),
        "A backlog behind a table that is not ACTIVE has its cause there",
    ),
    Section(
        "The way through",
        (
            _quantiles("Appends, until acknowledged", i.APPEND_DURATION),
            _worst(
                "Longest wait for an append: the ten worst",
                "s",
                _max(ours(i.SINK_OLDEST_WAIT), SYSTEM, "table"),
                *(SYSTEM, "table"),
            ),
            _worst(
                "Messages in flight on an instance: the ten fullest",
                "{message}",
                _max(ours(i.IN_FLIGHT_MESSAGES), SYSTEM),
                SYSTEM,
            ),
            _quantiles("Heartbeats, publication to readable", i.CANARY_DELAY, objective=60),
        ),
    ),
    Section(
        "Answers",
        (
            _worst(
                "Answers 5xx a second: the ten worst systems and kinds",
                "{answer}/s",
                rate(
                    ours(
                        i.REQUEST_DURATION,
                        'sluice_request_kind=~"push|write|read"',
                        'http_response_status_code=~"5.."',
                        suffix="_count",
                    ),
                    _WINDOW,
                    *(SYSTEM, "sluice_request_kind"),
                ),
                *(SYSTEM, "sluice_request_kind"),
            ),
            _stack(
                "Answers by how the cache was used",
                "{answer}/s",
                rate(ours(i.CACHE_ANSWERS), _WINDOW, "state"),
                "state",
            ),
            _stack(
                "Settled chunks that pages needed, by where they came from",
                "{chunk}/s",
                rate(ours(i.CHUNK_READS), _WINDOW, "outcome"),
                "outcome",
            ),
            _worst(
                "Deliveries that were known already: the ten worst systems",
                "{message}/s",
                rate(ours(i.MESSAGES_DUPLICATE), _WINDOW),
                SYSTEM,
            ),
        ),
    ),
    Section(
        "What it costs",
        (
            _worst(
                "Instances: the ten largest services",
                "{instance}",
                f"sum by (service_name) ({theirs(INSTANCES, _SERVED)})",
                "service_name",
            ),
            _worst(
                "Bytes read by queries a second: the ten largest systems",
                "By/s",
                rate(ours(i.QUERY_BYTES), _WINDOW),
                SYSTEM,
            ),
            _stack(
                "Reads refused because a budget of billed bytes was used up",
                "{request}/s",
                rate(ours(i.BYTE_BUDGET_REFUSALS), _WINDOW, "whose"),
                "whose",
            ),
            _worst(
                "Bytes appended a second: the ten largest systems",
                "By/s",
                rate(ours(i.APPEND_SIZE, suffix="_sum"), _WINDOW),
                SYSTEM,
            ),
        ),
        "Prices are in the run-book, under capacity and cost",
    ),
)
