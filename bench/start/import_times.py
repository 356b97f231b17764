"""What `python -X importtime` says, read and added up: which packages a start-up waits for."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

_LINE = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)$", re.MULTILINE)
_SHARED = {"google": 2, "google.cloud": 3, "opentelemetry": 2}
"""Names that several distributions share, and how many parts tell these apart."""


class Import(msgspec.Struct, frozen=True):
    """One module: its own time, that with all it was the first to import (microseconds), and how deep it was nested."""

    name: str
    self_us: int
    cumulative_us: int
    depth: int


class Cost(msgspec.Struct, frozen=True):
    """A package or a module, and how many modules it stands for.

    `cumulative_ms` is of those that nothing of the same name had begun to import: whoever comes first pays for what is
    shared, so these times overlap. Those of `self_ms` do not.
    """

    name: str
    modules: int
    self_ms: float
    cumulative_ms: float


def read_imports(said: str) -> list[Import]:
    """Return the modules, each after what it imports; other lines are passed over.

    Python counts the depth for the process, not for the thread: where threads import at once, some nesting is wrong.
    """
    return [
        Import(name, int(self_us), int(cumulative_us), len(indent) // 2)
        for self_us, cumulative_us, indent, name in _LINE.findall(said)
    ]


def package_of(module: str) -> str:
    """Return what a module is counted with: its top-level package, or its part of a name that several share."""
    parts = module.split(".")
    length = max((_SHARED.get(".".join(parts[:count]), 1) for count in (1, 2)), default=1)
    return ".".join(parts[:length])


def costs(imports: Sequence[Import], name_of: Callable[[str], str | None]) -> list[Cost]:
    """Return what the modules cost by the name that each is given, the dearest (by their own time) first.

    A module whose name is None does not count.
    """
    totals: dict[str, tuple[int, int, int]] = {}
    within: list[tuple[int, str | None]] = []  # from the outermost to the innermost
    for one in reversed(imports):  # so that what imports comes before what it imports
        while within and within[-1][0] >= one.depth:
            within.pop()
        name = name_of(one.name)
        if name is not None:
            modules, self_us, cumulative_us = totals.get(name, (0, 0, 0))
            if name not in (outer for _, outer in within):
                cumulative_us += one.cumulative_us
            totals[name] = modules + 1, self_us + one.self_us, cumulative_us
        within.append((one.depth, name))
    found = [Cost(name, count, own / 1_000, whole / 1_000) for name, (count, own, whole) in totals.items()]
    return sorted(found, key=lambda cost: -cost.self_ms)


def summary(imports: Sequence[Import], top: int) -> dict[str, Any]:
    """Return how many modules there are, what they take, and the `top` of them.

    Packages are ordered by their own time; modules of the service by all of it, as they are what asks for the rest.
    """
    service = costs(imports, lambda name: name if package_of(name) == "app" else None)
    return {
        "modules": len(imports),
        "self_ms": round(sum(one.self_us for one in imports) / 1_000, 1),
        "packages": _told(costs(imports, package_of)[:top]),
        "service": _told(sorted(service, key=lambda cost: -cost.cumulative_ms)[:top]),
    }


def _told(found: Sequence[Cost]) -> list[dict[str, Any]]:
    return [
        {
            "name": cost.name,
            "modules": cost.modules,
            "self_ms": round(cost.self_ms, 1),
            "cumulative_ms": round(cost.cumulative_ms, 1),
        }
        for cost in found
    ]
