"""What befalls each append, from a seed and the request's number: chaos out of the misbehaving server's faults."""

import random
from collections import Counter
from collections.abc import Callable

import msgspec

from sluice.testing.misbehaving import faults
from sluice.testing.misbehaving.faults import Arrival, Cut, EndStream, Fault, Freeze, Listing, Silence, not_stored

_ENDINGS = (
    faults.DRAINING,
    faults.RESTARTED,
    faults.OVERLOADED,
    EndStream("INTERNAL", "internal"),
    EndStream("OK", ""),
    Cut(),
)


class Weather:
    """Decides the Fault of each request; `counts` says how often which kind was dealt.

    A request is held at most `deadline_s` and half of `margin_s`: what commits later than both is beyond what the
    service promises anything about.
    """

    def __init__(self, seed: int, *, rate: float, max_quota: int, deadline_s: float, margin_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._seed, self._rate, self._quota_left = seed, rate, max_quota
        late_s = (deadline_s * 1.1, deadline_s + margin_s * 0.4)
        self._kinds: dict[str, tuple[int, Callable[[random.Random], Fault]]] = {
            "slow acknowledgement": (4, lambda dice: Fault(answer_delay_s=dice.uniform(0.05, 0.4))),
            "acknowledgement after the deadline": (2, lambda _: Fault(answer_delay_s=deadline_s * 1.2)),
            "stored, then the stream ends": (5, lambda dice: Fault(answer=dice.choice(_ENDINGS))),
            "the stream ends, nothing stored": (4, lambda dice: not_stored(dice.choice(_ENDINGS))),
            "the stream ends, stored a little later": (
                3,
                lambda dice: Fault(
                    awaits_commit=False, commit_delay_s=dice.uniform(0.1, deadline_s), answer=dice.choice(_ENDINGS)
                ),
            ),
            "committed after the deadline, within the margin": (
                2,
                lambda dice: Fault(commit_delay_s=dice.uniform(*late_s)),
            ),
            "stored, then silence": (1, lambda dice: Fault(answer=dice.choice((Silence(), Freeze())))),
            "silence, nothing stored": (1, lambda dice: not_stored(dice.choice((Silence(), Freeze())))),
            "internal error": (2, lambda _: not_stored(faults.INTERNAL)),
            "not found, once": (
                1,
                lambda dice: not_stored(dice.choice((faults.NOT_FOUND, faults.NOT_FOUND_ENDS_STREAM))),
            ),
            "quota": (1, lambda _: not_stored(faults.QUOTA)),
        }

    def __call__(self, arrival: Arrival) -> Fault:
        """Return what befalls this request, by its number among all."""
        dice = random.Random(f"{self._seed}/request/{arrival.ordinal}")
        listing: Listing = dice.choices(("complete", "incomplete", "empty", "out of range"), (7, 1, 1, 1))[0]
        if dice.random() >= self._rate:
            return Fault(listing=listing)
        name = dice.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])[0]
        if name == "quota":  # each makes an instance pause for ten seconds or more
            if not self._quota_left:
                return Fault(listing=listing)
            self._quota_left -= 1
        self.counts[name] += 1
        return msgspec.structs.replace(self._kinds[name][1](dice), listing=listing)
