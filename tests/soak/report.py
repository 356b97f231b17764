"""What a soak showed: trends, what memory is made of, what was done, what is wrong. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from tests.soak.growth import MIB, TOLERANCES, Trend, after_warm_up, trend
from tests.soak.run import Sample, Soaked


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trends of what must be flat; none for too few samples."""
    found = []
    for name, tolerance in TOLERANCES.items():
        values = after_warm_up([(sample.at_s, value_of(sample, name)) for sample in samples], tolerance.warm_up)
        if len(values) >= 2:
            found.append(trend(name, values, tolerance))
    return found


def value_of(sample: Sample, name: str) -> float:
    """Return one figure of a sample."""
    return float(sample.inside.tasks if name == "tasks" else getattr(sample.outside, name))


def parts(sample: Sample) -> dict[str, float]:
    """Return what the resident memory of a sample is made of, in MiB.

    `other` is what no allocator tells of: the server's (jemalloc), code, stacks, and what DuckDB's allocator keeps
    beyond what it counts.
    """
    inside = sample.inside
    duckdb = sum(inside.duckdb.values())
    known = inside.malloc_used + inside.malloc_mapped + inside.malloc_free + duckdb
    figures = {
        "resident": sample.outside.rss_bytes,
        "malloc in use": inside.malloc_used + inside.malloc_mapped,
        "malloc free": inside.malloc_free,
        "duckdb": duckdb,
        "other": sample.outside.rss_bytes - known,
    }
    return {name: round(size / MIB, 1) for name, size in figures.items()}


def summary(soaked: Soaked) -> str:
    """Return a soak as text."""
    lines = [_trend(each) for each in trends(soaked.samples)]
    last = len(soaked.samples) - 1
    marks = [soaked.samples[round(share * last)] for share in (0.0, 0.33, 0.66) if soaked.samples]
    for sample in [*marks, *soaked.tidied]:
        made = ", ".join(f"{name} {size:g}" for name, size in parts(sample).items())
        blocks = f"{sample.inside.blocks} Python blocks, searches for cycles {_searches(sample.inside.searches)}"
        lines.append(f"  at {sample.at_s:.0f} s, MiB: {made}; {blocks}; DuckDB {_tags(sample.inside.duckdb)}")
    lines += [f"  {name}: {_counts(counts)}" for name, counts in soaked.counts.items()]
    lines += [f"  WRONG: {each[:400]}" for each in soaked.wrong[:20]]
    if len(soaked.wrong) > 20:
        lines.append(f"  and {len(soaked.wrong) - 20} more")
    return "\n".join(lines)


def document(soaked: Soaked) -> bytes:
    """Return a soak as JSON."""
    return msgspec.json.format(msgspec.json.encode(soaked))


def failures(soaked: Soaked) -> list[str]:
    """Return why a soak failed; nothing when it did not."""
    grown = [f"{each.name} is not flat" for each in trends(soaked.samples) if not each.is_flat]
    return grown + ([f"{len(soaked.wrong)} things are wrong"] if soaked.wrong else [])


def _trend(found: Trend) -> str:
    unit, name = (MIB, "MiB") if found.name.endswith("_bytes") else (1, "")
    level, slope, most = (value / unit for value in (found.level, found.growth, found.tolerated))
    word = "flat" if found.is_flat else "GROWS"
    return f"  {found.name}: {word}: {level:.1f} {name}, {slope:+.1f} after the warm-up (up to {most:.1f} is flat)"


def _tags(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{tag} {size / MIB:.1f}" for tag, size in sizes.items()) or "nothing"


def _searches(searches: Mapping[str, tuple[int, int]]) -> str:
    told = (f"{count} of {name} (longest {longest_us / 1e3:.1f} ms)" for name, (count, longest_us) in searches.items())
    return ", ".join(told) or "none"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
