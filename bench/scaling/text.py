"""How figures are written in docs/scaling.md."""

from bench.scaling.limits import LIMITS, Limit
from bench.scaling.shares import FULL

_ONE_PERCENT, _WHOLE, _MILLIONS = 0.01, 10, 10_000_000


def verdict(name: str, share: float) -> str:
    """Return whether a limit gives, the one of which most is taken."""
    what = LIMITS[name].what
    return f"**{what}**, {percent(share)}" if share > FULL else f"nothing ({what}: {percent(share)})"


def marked(share: float) -> str:
    """Return a part of a limit, in bold where it is more than all of it."""
    return f"**{percent(share)}**" if share > FULL else percent(share)


def percent(share: float) -> str:
    """Return a part in hundredths."""
    return f"{share * 100:,.0f} %" if share >= _ONE_PERCENT else "< 1 %"


def rate_text(rate_per_s: float | None) -> str:
    """Return a rate that something bears."""
    return "any rate" if rate_per_s is None else f"{rate_per_s:,.0f}"


def amount(limit: Limit) -> str:
    """Return how much there may be, with its unit."""
    for size, name in ((1e9, "G"), (1e6, "M")):
        if limit.value >= size and limit.unit.startswith("bytes"):
            return f"{limit.value / size:,.3g} {name}B{limit.unit.removeprefix('bytes')}"
    return f"{limit.value:,.0f} {limit.unit}"


def short(value: float) -> str:
    """Return a number with as many digits as matter."""
    if value >= _MILLIONS:
        return f"{value / 1e6:,.0f} million"
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2g}"


def plural(count: int, noun: str) -> str:
    """Return so many of something."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
