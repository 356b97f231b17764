"""The tables of the service beside its rate: what it adds, what more cores are worth, its start, memory and reading."""

import msgspec

from bench.report.figures import figure, load_text, machine_text, share, table
from bench.report.results import Api, Latency, Memory, Results, Starts, Workers
from bench.scaling import prices

_DEAREST = 8
_ANSWERS = (
    "page of 100, a window of a day",
    "page of 100, by cursor",
    "page of 1000",
    "record by id",
    "statistics of a day by source",
    "page of 100, kept by the cache",
    "304",
)


def latency(found: Latency) -> list[str]:
    """Return what is added to the store's acknowledgement."""
    quantiles = ("p50", "p99", "p99.9")
    head = ("load, share of the maximum of sluice", "contender", "messages/s", *(f"{name}, ms" for name in quantiles))
    head += ("p99 of the worst round, ms",)
    rows = [
        (
            share(cell.load),
            cell.contender,
            f"{cell.messages_per_s:,.0f}",
            *(figure(cell.added_ms[name]) for name in quantiles),
            figure(cell.worst_p99_ms),
        )
        for cell in found.cells
    ]
    return [
        "![What is added to the store's acknowledgement, at half and at nine tenths of the load](results/latency.svg)",
        "",
        *table(head, rows),
    ]


def workers(found: Workers) -> list[str]:
    """Return what one instance and two take, and what their processor time costs on Cloud Run."""
    alone = {cell.case: cell for cell in found.cells if cell.workers == 1}
    rows = []
    for cell in sorted(found.cells, key=lambda cell: list(alone).index(cell.case) if cell.case in alone else 0):
        one = alone.get(cell.case)
        times = cell.messages_per_s / one.messages_per_s if one else 1.0
        dearer = cell.cpu_us_per_message / one.cpu_us_per_message if one else 1.0
        dollars = prices.VCPU_S.of(cell.cpu_us_per_message)  # µs a message are seconds a million
        rate = (f"{cell.messages_per_s:,.0f}", f"{times:.2f}", figure(cell.cpu_us_per_message), f"{dearer:.2f}")
        rows.append((cell.case.name, str(cell.workers), *rate, f"${dollars:.4f}"))
    head = (
        *("load", "instances", "messages/s", "times one", "CPU, µs a message", "times one"),
        "processor time of a million messages",
    )
    price = f"${prices.VCPU_S.dollars:.6f} a {prices.VCPU_S.unit} ({prices.VCPU_S.source}, {prices.DATED})"
    return [*table(head, rows), "", f"The price is {price}, with every processor fully used."]


def start(found: Starts) -> list[str]:
    """Return how long a start takes."""
    rows = []
    for cell in found.cells:
        walls = [one.wall_s for one in cell.rounds]
        clock = (figure(cell.median.wall_s), f"{figure(min(walls))} to {figure(max(walls))}")
        rows.append((cell.contender, *clock, figure(cell.median.cpu_s)))
    return table(("process", f"ready after, s, median of {found.rounds}", "between", "processor time, s"), rows)


def imports(found: Starts) -> list[str]:
    """Return what of a start is the import of which package."""
    by_store = {store: {each.name: each.self_ms for each in one.packages} for store, one in found.imports.items()}
    dearest = {
        name: max(took.get(name, 0.0) for took in by_store.values()) for took in by_store.values() for name in took
    }
    names = sorted(dearest, key=lambda name: -dearest[name])[:_DEAREST]
    rows = [
        (f"`{name}`", *(figure(took[name]) if name in took else "" for took in by_store.values())) for name in names
    ]
    whole = (f"{figure(one.self_ms)} ({one.modules:,} modules)" for one in found.imports.values())
    return table(("package, ms without what it imports in turn", *by_store), [*rows, ("all", *whole)])


def memory(found: Memory) -> list[str]:
    """Return what the service holds, in MiB."""
    head = (
        *("store", "idle", "private part", "under load", "peak of the bursts"),
        *("after the first two bursts", "after the last three", "growth a burst"),
    )
    rows = []
    for store, held in found.backends.items():
        peak = max(burst.peak_rss for burst in held.bursts)
        left = [f"{burst.after.rss:.0f}" for burst in held.bursts]
        after = [", ".join(left[:2]), ", ".join(left[-3:])]
        quiet = (f"{held.idle.rss:.0f}", f"{held.idle.anonymous:.0f}", f"{held.under_load.meanwhile.rss:.0f}")
        rows.append((store, *quiet, f"{peak:.0f}", *after, f"{held.growth_rss:+.1f}"))
    return table(head, rows)


def query(found: Api) -> list[str]:
    """Return what a few kinds of reading take."""
    rows = []
    for name in _ANSWERS:
        if (one := found.pages.get(name)) is not None:
            store = "not asked" if one.store_p50_ms is None else figure(one.store_p50_ms)
            ready = found.page_ceilings.get(name)
            rows.append((name, figure(one.p50_ms), figure(one.p99_ms), store, figure(ready.p50_ms) if ready else ""))
    head = ("answer", "p50, ms", "p99, ms", "store part, p50", "constant response, p50")
    return table(head, rows)


def machines(results: Results) -> list[str]:
    """Return what each result was measured on."""
    head = ("result", "machine", "load average before, over 1 and 5 minutes")
    rows = [
        (f"[{name}.json](results/{name}.json)", machine_text(found.machine), load_text(found.machine))
        for name in msgspec.structs.asdict(results)
        if (found := getattr(results, name)) is not None
    ]
    return table(head, rows, of_words=True)
