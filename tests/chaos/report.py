"""What happened in a run, and how it is told."""

from collections.abc import Mapping, Sequence

import msgspec

from tests.chaos.plan import Plan

_SHOWN = 20


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a run; `wrong` is empty when every promise was kept. Times are in seconds."""

    plan: Plan
    seconds: float
    send_seconds: float
    requests: Mapping[str, int]
    pages: Mapping[str, int]
    faults: Mapping[str, int]
    appends: int
    kills: int
    stops_s: Sequence[float]
    ack_s: Sequence[float]
    """Of each request that was answered 2xx, shortest first."""
    rows: Mapping[str, int]
    slowest_commit_s: float
    wrong: Sequence[str]


def summary(report: Report) -> str:
    """Return what happened in a run as lines of text."""
    items = [item for message in report.plan.messages for item in message.items]
    poison = sum(item.reason is not None for item in items)
    p50_s, p99_s, slowest_s = (_at(report.ack_s, share) for share in (0.5, 0.99, 1.0))
    lines = {
        "messages": f"{len(report.plan.messages)}, of {len(items)} records, {poison} of them poison",
        "time": f"{report.seconds:.0f} s, {report.send_seconds:.0f} s of it sending",
        "requests": _counts(report.requests),
        "acknowledged": f"p50 {p50_s:.2f} s, p99 {p99_s:.2f} s, slowest {slowest_s:.2f} s",
        "appends": f"{report.appends}, stored after {report.slowest_commit_s:.1f} s at most",
        "faults": _counts(report.faults),
        "ended": f"{report.kills} times; by SIGTERM within {max(report.stops_s, default=0.0):.1f} s",
        "pages": _counts(report.pages),
        "stored": _counts(report.rows),
        "wrong": str(len(report.wrong) or "nothing"),
    }
    return "\n".join(f"  {name:<13} {text}" for name, text in lines.items())


def complaint(report: Report, again: str) -> str:
    """Return the first things that were wrong, and how to run the same again."""
    told = [f"  {line}" for line in report.wrong[:_SHOWN]]
    if len(report.wrong) > _SHOWN:
        told.append(f"  and {len(report.wrong) - _SHOWN} more")
    head = f"seed {report.plan.seed}: {len(report.wrong)} WRONG"
    return "\n".join([head, *told, f"  the same plan again (the timing is never the same): {again}"])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
