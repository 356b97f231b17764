"""The tables of the way in: the answer in a few words, every contender under one load, and the service under others."""

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
        WAITING: "{} of what the same server takes that does nothing but wait as long as the store does",
        FLASK: "for each core that is used, {} times what the tutorial takes (Flask, `insert_rows_json` per message)",
        TUNED: "{} times where its client is tuned",
        FASTAPI: "{} times what FastAPI with `AppendRowsStream` takes",
        REMEMBERING: "{} times where that remembers tokens",
    }
    ratios = {other: found.ratio(SLUICE, other) for other in against}
    said = [against[other].format(figure(ratio.median)) for other, ratio in ratios.items() if ratio]
    text = (
        f"**One core takes in {own.median.messages_per_s:,.0f} messages a second** of one record of 1 KB each: token "
        "verified, record checked, row acknowledged by the store before the 204, metrics and 1 % of the traces on."
    )
    if said:
        text += f" That is {listed(said)}."
    many = found.cell(SLUICE, MANY)
    if many:
        text += f" With 100 records a message it is {many.median.records_per_s:,.0f} records a second."
    return [text]


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
        f"{SLUICE} takes, times",
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
        lines += ["", f"Records a second with 100 in a message, of those with one in each: {spread(ratio)}."]
    return lines


def _explained(found: Ingest) -> str:
    """Say whom something else than its core held up: such a figure is the least that it takes."""
    cells, text = found.headline(), "The last column is of rounds side by side, with the least and the most."
    idle = [cell for cell in cells if cell.median.cores < USED_UP]
    if idle:
        most = Case().in_flight / Case().ack_ms * 1_000
        text += (
            f" Not held up by its core was {listed([_used(cell) for cell in idle])}: with {Case().in_flight} in flight "
            f"and {Case().ack_ms:g} ms nobody who waits can take more than {most:,.0f} a second, and the load has but "
            "one core too."
        )
    own, ceiling = found.cell(SLUICE, Case()), found.cell(WAITING, Case())
    if own and ceiling and ceiling in idle:
        part = ceiling.median.cpu_us_per_message / own.median.cpu_us_per_message
        text += f" By processor time for a message, {SLUICE} is at {figure(part)} of the waiting ceiling."
    return text


def _used(cell: Cell) -> str:
    return f"{cell.contender} (the load used {share(cell.median.load_cores)} of its own)"


def _strong(name: str) -> str:
    return f"**{name}**" if name == SLUICE else name
