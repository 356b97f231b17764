"""What came of the attacks: a line each while they run, a table in Markdown, and everything as JSON. Pure."""

import platform
from collections.abc import Sequence

import msgspec

from tests.attack.run import Outcome
from tests.attack.verdict import Felt, broken, mebibytes

_HEAD = (
    "| attack | liveness p50/p99, before | during | after | producer p50/p99, before | during | after "
    "| reader p99, before | during | memory, before | peak | missing | full service after | holds |"
)


def line(outcome: Outcome) -> str:
    """Return an attack and what does not hold under it, as text for a terminal."""
    seen, wrong = outcome.evidence, broken(outcome.evidence)
    parts = [
        f"{outcome.attack.name}: {'BROKEN' if wrong else 'holds'}",
        f"  liveness {_pair(seen.before.liveness)}, {_pair(seen.during.liveness)}, {_pair(seen.after.liveness)} s",
        f"  producer {_pair(seen.before.producer)}, {_pair(seen.during.producer)}, {_pair(seen.after.producer)} s",
        f"  reader   {_pair(seen.before.reader)}, {_pair(seen.during.reader)}, {_pair(seen.after.reader)} s",
        f"  (each p50/p99 before, during, after; the measuring process itself was late by {seen.own_lag_s:.2f} s)",
        f"  memory {_size(outcome.first_bytes)} before, {_size(seen.peak_bytes)} at most, {_size(outcome.last_bytes)} "
        f"after; {len(seen.missing)} missing; full service after {seen.recovery_s:.1f} s",
        f"  sent: {_counts(outcome.sent.answers)}; connections: {_counts(outcome.sent.connections)}",
        *(f"  BROKEN: {each}" for each in wrong),
    ]
    return "\n".join(parts)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return all attacks as a table, with what is broken below it."""
    rows = [_HEAD, "|" + "---|" * (_HEAD.count("|") - 1)]
    rows += ["| " + " | ".join(_row(outcome)) + " |" for outcome in outcomes]
    wrong = [f"- {outcome.attack.name}: {each}" for outcome in outcomes for each in broken(outcome.evidence)]
    head = f"# Attacks\n\nTimes in seconds; {platform.machine()}, Python {platform.python_version()}.\n"
    return "\n".join([head, *rows, "", *(wrong or ["Everything holds."]), ""])


def document(outcomes: Sequence[Outcome]) -> bytes:
    """Return all figures as JSON."""
    made = [{**msgspec.to_builtins(outcome), "broken": broken(outcome.evidence)} for outcome in outcomes]
    for each in made:
        each["sent"]["acknowledged"] = len(each["sent"]["acknowledged"])
    return msgspec.json.format(msgspec.json.encode(made))


def _row(outcome: Outcome) -> list[str]:
    seen = outcome.evidence
    return [
        outcome.attack.name,
        *(_pair(phase.liveness) for phase in (seen.before, seen.during, seen.after)),
        *(_pair(phase.producer) for phase in (seen.before, seen.during, seen.after)),
        f"{seen.before.reader.p99_s:.2f}",
        f"{seen.during.reader.p99_s:.2f}",
        _size(outcome.first_bytes),
        _size(seen.peak_bytes),
        str(len(seen.missing)),
        f"{seen.recovery_s:.1f}",
        "no" if broken(seen) else "yes",
    ]


def _pair(felt: Felt) -> str:
    return f"{felt.p50_s:.2f}/{felt.p99_s:.2f}" + (f" ({felt.failed} failed)" if felt.failed else "")


def _size(size: int | None) -> str:
    return "unknown" if size is None else f"{mebibytes(size)} MiB"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
