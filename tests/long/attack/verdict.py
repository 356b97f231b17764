"""Figures of an attack against what must hold under it. Pure: samples in, sentences out."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

MAX_LIVENESS_S, MAX_SLOWER_S, MAX_RECOVERY_S = 1.0, 1.0, 5.0
MAX_MEMORY_BYTES = 512 * 1024 * 1024
NEVER_S = 60.0
"""What a request counts as that was never answered well: as long as Pub/Sub waits."""


class Sample(msgspec.Struct, frozen=True):
    """One request of a neighbour: when it began (s, monotone), how long until it was served, and whether it was.

    One that was refused and repeated is one sample, up to the answer that served it.
    """

    began_s: float
    seconds: float
    served: bool = True

    @property
    def felt_s(self) -> float:
        """How long it took, as far as its caller is concerned."""
        return self.seconds if self.served else max(self.seconds, NEVER_S)


class Felt(msgspec.Struct, frozen=True):
    """What one neighbour felt in one phase; times in seconds."""

    requests: int
    p50_s: float
    p99_s: float
    failed: int


class Phase(msgspec.Struct, frozen=True):
    """All neighbours in one phase."""

    liveness: Felt
    producer: Felt
    reader: Felt


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one attack.

    `missing` are acknowledged messages that are in neither feed; `repeated` records that a follower saw twice.
    `first_bytes` and `peak_bytes` are memory before and at most.
    `unread` are connections of clients that read nothing which the kernel should have ended by the end of the attack.
    """

    before: Phase
    during: Phase
    after: Phase
    first_bytes: int
    peak_bytes: int
    missing: Sequence[str]
    repeated: Sequence[str]
    recovery_s: float
    alive: bool
    complaints: Sequence[str]
    unread: int = 0


def felt(samples: Collection[Sample]) -> Felt:
    """Sum up samples: nearest-rank percentiles of the times that were felt."""
    times = sorted(sample.felt_s for sample in samples)
    failed = sum(not sample.served for sample in samples)
    return Felt(len(times), percentile(times, 0.50), percentile(times, 0.99), failed)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that `share` of `ordered` does not exceed; 0 of none."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def recovery_s(ended_s: float, liveness: Collection[Sample], others: Collection[Sample], usual_s: float) -> float:
    """Return how long after `ended_s` the last request was over that was not answered as it should be.

    As it should be is within 1 s for liveness, and no more than 1 s above `usual_s` for the others. A request that was
    begun during the attack counts, where it was not over at its end.
    """
    bad = [sample for sample in liveness if sample.felt_s > MAX_LIVENESS_S]
    bad += [sample for sample in others if sample.felt_s > usual_s + MAX_SLOWER_S]
    return max([0.0, *(sample.began_s + sample.seconds - ended_s for sample in bad)])


def broken(evidence: Evidence) -> list[str]:
    """Return what does not hold, a sentence each; nothing when everything does."""
    return [*_times(evidence), *_facts(evidence)]


def _times(evidence: Evidence) -> Iterator[str]:
    before, during = evidence.before, evidence.during
    if during.liveness.p99_s > MAX_LIVENESS_S:
        yield f"liveness took {during.liveness.p99_s:.2f} s (p99), of at most {MAX_LIVENESS_S:g}"
    for name in ("producer", "reader"):
        usual, now = getattr(before, name).p99_s, getattr(during, name).p99_s
        if now > usual + MAX_SLOWER_S:
            yield f"the {name} took {now:.2f} s (p99), {usual:.2f} before the attack: more than 1 s longer"
    if evidence.recovery_s > MAX_RECOVERY_S:
        yield f"full service came {evidence.recovery_s:.1f} s after the end, of at most {MAX_RECOVERY_S:g}"


def _facts(evidence: Evidence) -> Iterator[str]:
    if evidence.peak_bytes > MAX_MEMORY_BYTES:
        yield f"memory reached {mebibytes(evidence.peak_bytes)} MiB, of at most {mebibytes(MAX_MEMORY_BYTES)}"
    if evidence.missing:
        yield f"{len(evidence.missing)} acknowledged messages are missing, such as {evidence.missing[0]}"
    if evidence.repeated:
        yield f"{len(evidence.repeated)} records came twice to a follower, such as {evidence.repeated[0]}"
    if evidence.unread:
        yield f"{evidence.unread} connections are still open whose clients have read nothing for longer than allowed"
    if not evidence.alive:
        yield "the process ended"
    if evidence.complaints:
        yield f"the log has {len(evidence.complaints)} lines of a defect, such as {evidence.complaints[0][:200]}"


def mebibytes(size: int) -> int:
    """Return a size in whole MiB."""
    return size // (1024 * 1024)
