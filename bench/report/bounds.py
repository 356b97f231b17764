"""What must be reached, what was measured, and whether that holds."""

import operator
from collections.abc import Callable, Iterator

import msgspec

from bench.ingest.contenders import FASTAPI, FLASK, REMEMBERING, SLUICE, TUNED
from bench.ingest.messages import Case
from bench.report.figures import figure, share, table
from bench.report.ingest import IN_HUNDREDS, ROUTE, WAITING
from bench.report.results import Results

MOST_ADDED_MS, AT_LOAD = 10.0, 0.5
MOST_TIMES_WAITING = 2.0  # without transport, envelope and reading, 1.6 are left
READY_WITHIN_S = {"embedded": 1.0, "bigquery": 1.5}
MOST_IDLE_MB = 120.0
_MB = 1024**2 / 1e6  # in a MiB
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "more than": operator.gt,
    "at most": operator.le,
}
_TIMES = (
    ("messages/s: sluice / waiting ceiling", f"{SLUICE} / {WAITING}", "at least", 0.75),
    ("messages/s: sluice / Litestar route that only reads and answers", f"{SLUICE} / {ROUTE}", "more than", 1.0),
    ("messages/s per core: sluice / the tutorial (Flask, `insert_rows_json`)", f"{SLUICE} / {FLASK}", "at least", 20.0),
    ("messages/s per core: sluice / the same, its client tuned", f"{SLUICE} / {TUNED}", "at least", 20.0),
    ("messages/s per core: sluice / FastAPI with `AppendRowsStream`", f"{SLUICE} / {FASTAPI}", "at least", 5.0),
    ("messages/s per core: sluice / the same, tokens remembered", f"{SLUICE} / {REMEMBERING}", "at least", 5.0),
    ("records/s: 100 records of 300 B a message / one", f"{IN_HUNDREDS}, 300 B", "at least", 10.0),
    ("records/s: 100 records of 1 KB a message / one", IN_HUNDREDS, "at least", 8.5),
)


class Bound(msgspec.Struct, frozen=True):
    """A bound, and the value beside it; `measured` is None where there is none yet."""

    what: str
    compared: str
    bound: float
    unit: str
    measured: float | None

    @property
    def holds(self) -> bool | None:
        """Whether it does; None where nothing was measured."""
        return None if self.measured is None else _COMPARED[self.compared](self.measured, self.bound)

    def cells(self) -> tuple[str, str, str, str]:
        """Return it as the row of a table."""
        measured = "not yet" if self.measured is None else f"{figure(self.measured)} {self.unit}".strip()
        holds = {None: "", True: "yes", False: "**no**"}[self.holds]
        return self.what, f"{self.compared} {self.bound:g} {self.unit}".strip(), measured, holds


def bounds(results: Results) -> list[Bound]:
    """Return every bound, in the order in which they matter."""
    return [*_rates(results), *_added(results), *_ready(results), *_held(results)]


def must_reach(results: Results) -> list[str]:
    """Return the table of them."""
    return table(("what", "must be", "measured", "holds"), (bound.cells() for bound in bounds(results)), of_words=True)


def _rates(results: Results) -> Iterator[Bound]:
    for what, name, compared, bound in _TIMES:
        ratio = results.ingest.ratios.get(name) if results.ingest else None
        yield Bound(what, compared, bound, "", ratio.median if ratio else None)
    cells = [results.ingest.cell(name, Case()) for name in (SLUICE, WAITING)] if results.ingest else []
    costs = [cell.median.cpu_us_per_message for cell in cells if cell]
    times = costs[0] / costs[1] if len(costs) > 1 else None
    yield Bound("processor time of a message: sluice / waiting ceiling", "at most", MOST_TIMES_WAITING, "", times)


def _added(results: Results) -> Iterator[Bound]:
    cells = results.latency.cells if results.latency else []
    found = next((cell for cell in cells if (cell.contender, cell.load) == (SLUICE, AT_LOAD)), None)
    what = f"p99 added to the store's acknowledgement, at {share(AT_LOAD)} load"
    yield Bound(what, "at most", MOST_ADDED_MS, "ms", found.added_ms["p99"] if found else None)


def _ready(results: Results) -> Iterator[Bound]:
    cells = {cell.contender: cell.median.wall_s for cell in results.start.cells} if results.start else {}
    for store, bound in READY_WITHIN_S.items():
        what = f"first 200 on `/health/ready` after the process began, {store}"
        yield Bound(what, "at most", bound, "s", cells.get(f"{SLUICE}, {store}"))


def _held(results: Results) -> Iterator[Bound]:
    stores = results.memory.backends if results.memory else {}
    margin = results.memory.margin if results.memory else 2.5
    for store in READY_WITHIN_S:
        held = stores.get(store)
        idle_mb = held.idle.rss * _MB if held else None
        yield Bound(f"resident memory when idle, {store}", "at most", MOST_IDLE_MB, "MB", idle_mb)
    for store in READY_WITHIN_S:
        held = stores.get(store)
        what = f"growth from one burst to the next, by the line through eight, {store}"
        yield Bound(what, "at most", margin, "MiB", held.growth_rss if held else None)
