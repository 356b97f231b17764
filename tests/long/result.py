"""What came of a run: counts by what they are of, and what was wrong, as lines of text. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

_SHOWN = 20


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a run, and a sentence for each broken promise; `lines` are further findings."""

    counts: Mapping[str, Mapping[str, float]]
    wrong: list[str]
    lines: list[str] = []

    def text(self) -> str:
        """Return it as lines: the counts, and the first things that were wrong."""
        text = [*self.lines, *(f"  {name:<13} {_counted(counts)}" for name, counts in self.counts.items())]
        text += [f"  WRONG: {each[:400]}" for each in self.wrong[:_SHOWN]]
        if len(self.wrong) > _SHOWN:
            text.append(f"  and {len(self.wrong) - _SHOWN} more")
        return "\n".join(text)


def spread(ordered: Iterable[float]) -> dict[str, float]:
    """Return the median, p99 and the largest of `ordered` values."""
    values = [*ordered] or [0.0]
    return {name: values[min(int(len(values) * share), len(values) - 1)] for name, share in _SHARES.items()}


_SHARES = {"p50": 0.5, "p99": 0.99, "at most": 1.0}


def _counted(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{count:,.6g} {name}" for name, count in counts.items()) or "none"
