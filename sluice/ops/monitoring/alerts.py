"""The alerts. Burn rates follow the Site Reliability Workbook, chapter 5."""

import msgspec

from app.telemetry import instruments as i
from sluice.ops.monitoring.objectives import API, OBJECTIVES, QUERIED, Objective, ratio
from sluice.ops.monitoring.promql import (
    DEAD_LETTERED,
    OLDEST_UNACKED,
    SYSTEM,
    UNDELIVERED,
    increase,
    ours,
    rate,
    theirs,
)

_KIND = "sluice_request_kind"
_MEASURED = f'{_KIND}=~"push|write|read"'
_PUSHED = 'subscription_id=~"${push_subscriptions}"'
_NOT_PAUSED = 'subscription_id!~"${paused_subscriptions}"'
_DEAD = 'subscription_id=~"${dead_letter_subscriptions}"'


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that must hold for `for_s`; a page wakes the person on call, a ticket waits for the morning.

    `run_book` is its heading in docs/runbook.md, without the word alert.
    """

    name: str
    title: str
    query: str
    text: str
    run_book: str = ""
    pages: bool = False
    for_s: int = 0
    every_s: int = 60


class Burn(msgspec.Struct, frozen=True):
    """How fast a budget of 30 days is spent: `times` as fast as it may, over both windows."""

    word: str
    times: float
    long: str
    short: str
    spends: str
    for_s: int


FAST = Burn("fast", 14.4, "1h", "5m", "2 % of the month's error budget in an hour", 60)
SLOW = Burn("slow", 6.0, "6h", "30m", "5 % of the month's error budget in six hours", 300)


def _burning(objective: Objective, burn: Burn) -> Alert:
    limit = f"{round(burn.times * (1 - objective.goal), 6):g}"
    conditions = [f"{ratio(objective, window)} > {limit}" for window in (burn.long, burn.short)]
    if objective.quiet:
        conditions.append(f"({objective.bad(lambda selector: increase(selector, burn.long))}) > {objective.quiet}")
    promise = objective.promise or objective.title
    return Alert(
        name=f"{objective.name}-{burn.word}",
        title=f"{objective.burning} ({burn.word} burn)",
        query="\nand\n".join(conditions),
        text=f"The objective is that {promise}. So many were not, for {burn.long} and in the last "
        f"{burn.short}, that this spends {burn.spends}.",
        run_book=objective.name,
        pages=objective.pages and burn is FAST,
        for_s=burn.for_s,
        every_s=burn.for_s,
    )


def _mean(instrument: i.Instrument, window: str, *matchers: str) -> str:
    seconds = rate(ours(instrument, *matchers, suffix="_sum"), window)
    return f"{seconds}\n/ {rate(ours(instrument, *matchers, suffix='_count'), window)}"


_BUCKETS = ours(i.REQUEST_DURATION, _MEASURED, suffix="_bucket")
_REQUESTS = ours(i.REQUEST_DURATION, _MEASURED, suffix="_count")
_ERRORS = ours(i.REQUEST_DURATION, _MEASURED, 'http_response_status_code=~"5.."', suffix="_count")
_STORED_HOUR = increase(ours(i.RECORDS_STORED), "1h")
_STORED_YESTERDAY = f"sum by ({SYSTEM}) (increase({ours(i.RECORDS_STORED)}[1h] offset 1d))"
_BEATS = ours(i.CANARY_DELAY, suffix="_count")


def _state(states: str) -> str:
    selector = ours(i.SINK_STATE, f'state=~"{states}"')
    return f"max by ({SYSTEM}, table, state) ({selector})\n> 0"


ALERTS = (
    *(_burning(objective, burn) for objective in OBJECTIVES for burn in (FAST, SLOW)),
    Alert(
        name="processing-latency",
        title="Mean time from publication to storage above 5 s",
        query=f"{_mean(i.PUBLISH_TO_STORED, '5m')}\n> 5",
        text="The mean over 5 minutes. A backlog that is worked off after an outage counts too: its messages are old "
        "when they are stored.",
    ),
    Alert(
        name="api-latency",
        title="Mean latency of the API above 500 ms",
        query=f"{_mean(i.REQUEST_DURATION, '5m', API)}\n> 0.5",
        text="The mean over 5 minutes, for reads and writes together. Pushes, waiting reads and streams are left out.",
    ),
    Alert(
        name="api-p95",
        title="95th percentile of answers above 500 ms",
        query=f"histogram_quantile(0.95, {rate(_BUCKETS, '10m', SYSTEM, _KIND, 'le')})"
        f"\n> 0.5\nand\n{increase(_REQUESTS, '10m', SYSTEM, _KIND)} > 20",
        text="Over 10 minutes, for pushes, writes and reads each by themselves.",
    ),
    Alert(
        name="query-time",
        title="Mean query time above 2 s",
        query=f"{_mean(i.QUERY_DURATION, '10m', *QUERIED)}\n> 2\nand\n"
        f"{increase(ours(i.QUERY_DURATION, *QUERIED, suffix='_count'), '10m')} > 10",
        text="The mean over 10 minutes, exports left out.",
    ),
    Alert(
        name="error-rate",
        title="More than 1 % of answers are 5xx",
        query=f"{rate(_ERRORS, '10m', SYSTEM, _KIND)}\n/ {rate(_REQUESTS, '10m', SYSTEM, _KIND)}\n> 0.01\nand\n"
        f"{increase(_ERRORS, '10m', SYSTEM, _KIND)} > 10",
        text="Over 10 minutes, for pushes, writes and reads each by themselves. A push that is answered 5xx is "
        "delivered again; nothing of it is lost.",
        for_s=300,
    ),
    Alert(
        name="backlog",
        title="The oldest message waits for more than 2 minutes",
        query=f"max by (subscription_id) ({theirs(OLDEST_UNACKED, _PUSHED, _NOT_PAUSED)})\n> 120",
        text="Messages are published and not taken. Pub/Sub keeps them for as long as the subscription retains "
        "messages (7 days); nothing is lost yet.",
        pages=True,
        for_s=120,
    ),
    Alert(
        name="dead-letters",
        title="Messages were dead-lettered",
        query=f"{increase(theirs(DEAD_LETTERED, _PUSHED), '10m', 'subscription_id')} > 0\nor\n"
        f"sum by (subscription_id) ({theirs(UNDELIVERED, _DEAD)}) > 0",
        text="A message is dead-lettered when an outage outlasted 100 deliveries: it is kept in the dead-letter "
        "subscription until an operator puts it back. The alert lasts until that is empty.",
    ),
    Alert(
        name="volume",
        title="Stored volume far from the same hour yesterday",
        query=f"(\n  {_STORED_HOUR} < 0.33 * {_STORED_YESTERDAY}\n"
        f"  or {_STORED_HOUR} > 3 * {_STORED_YESTERDAY}\n)\nand\n"
        f"{_STORED_YESTERDAY} > 1000",
        text="Less than a third, or more than three times, of the volume of the same hour of the day before.",
        for_s=1_800,
        every_s=300,
    ),
    Alert(
        name="query-bytes",
        title="Queries read more bytes than expected",
        query=f"{increase(ours(i.QUERY_BYTES), '1h')}\n> ${{query_bytes_per_hour}}",
        text="BigQuery bills on-demand queries by the bytes they read.",
        every_s=300,
    ),
    Alert(
        name="sink-setup",
        title="A table accepts no rows until an operator acts",
        query=_state("FILE_MISSING|NOT_FOUND|PERMISSION_DENIED|SCHEMA_MISMATCH"),
        text="The label `state` says what is wrong. Messages wait in Pub/Sub meanwhile.",
        pages=True,
        for_s=120,
    ),
    Alert(
        name="sink-columns",
        title="A table has lacked a declared column for 15 minutes",
        query=_state("COLUMNS_PENDING"),
        text="The column is optional: only messages that use it wait in Pub/Sub, until Terraform has added it.",
        for_s=900,
    ),
    Alert(
        name="sink-trouble",
        title="A table has taken no rows for 15 minutes",
        query=_state("CLOCK_WRONG|DISK_FULL|QUOTA_EXHAUSTED|UNREACHABLE"),
        text="The label `state` says what is wrong; it mostly clears without help. Messages wait in Pub/Sub meanwhile.",
        for_s=900,
    ),
    Alert(
        name="heartbeat-absent",
        title="No heartbeat has come through for 10 minutes",
        query=f"{increase(_BEATS, '6h')} > 0\nunless\n{increase(_BEATS, '10m')} > 0",
        text="Heartbeats came through within the last six hours, and none in the last 10 minutes: publishing, pushing, "
        "storing, reading or the metrics themselves have stopped.",
        pages=True,
        for_s=120,
    ),
    Alert(
        name="heartbeat-missed",
        title="Heartbeats are stored and cannot be read",
        query=f"{increase(ours(i.CANARY_MISSED), '15m')}\n> 1",
        text="Records are written, and the feed does not show them within 5 minutes.",
    ),
)
