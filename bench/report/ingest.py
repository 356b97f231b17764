"""The tables about ingest: the answer in a few words, every contender under one load, and the service under others."""

from bench.ingest.compare import MANY
from bench.ingest.contenders import FASTAPI, FLASK, REMEMBERING, SLUICE, TUNED
from bench.ingest.messages import Case
from bench.report.figures import figure, listed, rounds_text, share, table
from bench.report.results import Cell, Ingest, Ratio, paired

WAITING, ROUTE = "waiting", "litestar route"
IN_HUNDREDS = "100 records a message / one record"
USED_UP = 0.9
"""Who used less of the core was not held up by it."""


def answer(found: Ingest) -> list[str]:
    """Return how fast it is, in a sentence or two."""
    own = found.cell(SLUICE, Case())
    if own is None:
        return []
    against = {
        WAITING: "{} of the rate of the same server when it only waits as long as the store does",
        FLASK: "{} times the rate per core of the tutorial (Flask, `insert_rows_json` per message)",
        TUNED: "{} times that with its client tuned",
        FASTAPI: "{} times the rate per core of FastAPI with `AppendRowsStream`",
        REMEMBERING: "{} times that with remembered tokens",
    }
    ratios = {other: found.ratio(SLUICE, other) for other in against}
    said = [f"- {against[other].format(figure(ratio.median))}" for other, ratio in ratios.items() if ratio]
    lines = [
        f"**One core ingests {own.median.messages_per_s:,.0f} messages a second** of one record of 1 KB each. Each 204 "
        "includes token verification, validation and a durable write, with metrics and 1 % of the traces on."
    ]
    if many := found.cell(SLUICE, MANY):
        lines[0] += f" With 100 records per message it ingests {many.median.records_per_s:,.0f} records a second."
    return [*lines, "", "The rate for single records is:", "", *said] if said else lines


def plot(found: Ingest) -> list[str]:
    """Return the picture of the headline."""
    values = [f"{cell.contender} {cell.median.messages_per_s:,.0f}" for cell in found.headline()]
    return [f"![Messages a second on one core: {listed(values)}](results/ingest.svg)"]


def headline(found: Ingest) -> list[str]:
    """Return every contender under the first load."""
    head = (
        "contender",
        "messages/s",
        "CPU, µs a message",
        "of the core",
        "p50, ms",
        "p99, ms",
        f"{SLUICE}, times that",
    )
    rows = []
    for cell in found.headline():
        one, ratio = cell.median, found.ratio(SLUICE, cell.contender)
        times = (figure(one.p50_ms), figure(one.p99_ms))
        rate = (f"{one.messages_per_s:,.0f}", figure(one.cpu_us_per_message), share(one.cores))
        rows.append((_strong(cell.contender), *rate, *times, spread(ratio) if ratio else ""))
    return [*table(head, rows), "", f"{Case().name}; {rounds_text(found)}. {_explained(found)}"]


def spread(ratio: Ratio) -> str:
    """Write a ratio and between which it was in the rounds: 5.12 (4.98 to 5.20)."""
    return f"{figure(ratio.median)} ({figure(min(ratio.rounds))} to {figure(max(ratio.rounds))})"


def sweep(found: Ingest) -> list[str]:
    """Return the service and the waiting ceiling under each load."""
    head = (
        *("load", "messages/s", "records/s", "CPU, µs a message", "p50, ms", "p99, ms"),
        *("waiting ceiling, messages/s", "of the ceiling", "of the core", "load, of its core"),
    )
    rows = []
    for case in found.cases():
        own, ceiling = found.cell(SLUICE, case), found.cell(WAITING, case)
        if own and ceiling:
            one, other = own.median, ceiling.median
            rate = (f"{one.messages_per_s:,.0f}", f"{one.records_per_s:,.0f}", figure(one.cpu_us_per_message))
            times = (figure(one.p50_ms), figure(one.p99_ms))
            beside = (f"{other.messages_per_s:,.0f}", figure(paired(own, ceiling)))
            rows.append((case.name, *rate, *times, *beside, share(one.cores), share(one.load_cores)))
    lines = table(head, rows)
    if ratio := found.ratios.get(IN_HUNDREDS):
        lines += ["", f"Records a second with 100 per message, relative to one per message: {spread(ratio)}."]
    return lines


def _explained(found: Ingest) -> str:
    """Name the contenders that were not limited by their core: such a figure is a lower bound."""
    cells, text = found.headline(), "The last column compares paired rounds, with the minimum and the maximum."
    idle = [cell for cell in cells if cell.median.cores < USED_UP]
    if idle:
        most = Case().in_flight / Case().ack_ms * 1_000
        text += (
            f" With {Case().in_flight} in flight and {Case().ack_ms:g} ms, a contender that waits can reach at most "
            f"{most:,.0f} a second, and the load also has only one core. These did not use up their core: "
            f"{listed([_used(cell) for cell in idle])}."
        )
    own, ceiling = found.cell(SLUICE, Case()), found.cell(WAITING, Case())
    if own and ceiling and ceiling in idle:
        part = ceiling.median.cpu_us_per_message / own.median.cpu_us_per_message
        text += f" By processor time per message, {SLUICE} is at {figure(part)} of the waiting ceiling."
    return text


def _used(cell: Cell) -> str:
    return f"{cell.contender} (the load used {share(cell.median.load_cores)} of its own)"


def _strong(name: str) -> str:
    return f"**{name}**" if name == SLUICE else name
