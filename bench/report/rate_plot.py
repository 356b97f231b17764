"""results/ingest.svg: messages a second on one core, a bar for each contender, the most at the top.

The scale begins at 0 and is the same throughout, though the smallest bar is then some pixels long: a bar's length is
what is compared, and the figure stands beside it.
"""

from bench.ingest.contenders import FASTAPI, FLASK, REMEMBERING, SLUICE, TODAY, TUNED
from bench.ingest.messages import Case
from bench.report import svg
from bench.report.figures import figure, listed, load_text, machine_text, rounds_text
from bench.report.ingest import ROUTE, USED_UP, WAITING
from bench.report.results import Cell, Ingest

LABELS = {
    "bare": ("bare", "reads the body, answers 204"),
    WAITING: ("waiting ceiling", "answers as late as a store would"),
    ROUTE: ("Litestar, route", "a handler that reads and answers"),
    "litestar mounted": ("Litestar, mounted", "an ASGI function that reads and answers"),
    SLUICE: (SLUICE, "verified, checked, stored, then answered"),
    FLASK: ("Flask + insert_rows_json", "the tutorial, under gunicorn"),
    TUNED: ("Flask + insert_rows_json", "its client tuned for the threads"),
    FASTAPI: ("FastAPI + AppendRowsStream", "the next step, under uvicorn"),
    REMEMBERING: ("FastAPI + AppendRowsStream", "verifies each token only once"),
}
_WIDTH, _LEFT, _LENGTH, _TOP, _ROW, _BAR = 900, 262, 430, 92, 42, 20


def rate_plot(found: Ingest) -> str:
    """Return the plot of the headline."""
    cells = sorted(found.headline(), key=lambda cell: -cell.median.messages_per_s)
    scale = svg.ticks(max(cell.median.messages_per_s for cell in cells))
    bottom = _TOP + _ROW * len(cells)
    body = [svg.text(24, 32, "Messages a second that one core takes in", svg.TITLE)]
    body.append(svg.text(24, 52, "records of 1 KB, one a message; longer is better", "muted"))
    for tick in scale:
        x = _LEFT + length(tick, scale[-1])
        body.append(svg.line((x, _TOP - 4), (x, bottom), svg.GRID))
        body.append(svg.text(x, bottom + 16, f"{tick:,.0f}", svg.NOTE, "middle"))
    body.append(svg.text(_LEFT + _LENGTH + 70, bottom + 16, "messages/s", svg.NOTE))
    for place, cell in enumerate(cells):
        width = length(cell.median.messages_per_s, scale[-1])
        body.append(svg.bar(_LEFT, _TOP + _ROW * place, width, _BAR, _colour(cell)))
    body += _ceiling(found, scale[-1], bottom)
    for place, cell in enumerate(cells):
        body += _words(found, cell, _TOP + _ROW * place + _BAR / 2, scale[-1])
    for number, small in enumerate(_small_print(found)):
        body.append(svg.text(24, bottom + 46 + 16 * number, small, svg.NOTE))
    said = listed([f"{cell.contender} {cell.median.messages_per_s:,.0f}" for cell in cells])
    title = "Messages a second that one core takes in, by contender"
    return svg.document((_WIDTH, bottom + 80), title, f"{said}. {' '.join(_small_print(found))}", body)


def length(value: float, most: float) -> float:
    """Return how long the bar of a value is, where that of `most` is as long as the scale."""
    return value / most * _LENGTH


def _colour(cell: Cell) -> str:
    if cell.contender == SLUICE:
        return svg.OWN
    return svg.TODAY if cell.contender in TODAY else svg.CEILING


def _words(found: Ingest, cell: Cell, middle: float, most: float) -> list[str]:
    """Return what stands on both sides of a bar."""
    name, what = LABELS.get(cell.contender, (cell.contender, ""))
    value = cell.median.messages_per_s
    shown = f"{value:,.0f}" if cell.median.cores >= USED_UP else f"at least {value:,.0f}"
    x, ratio = _LEFT + length(value, most) + 8, found.ratio(SLUICE, cell.contender)
    note = f"{SLUICE} takes {figure(ratio.median)} times as many" if ratio else ""
    return [
        svg.text(_LEFT - 12, middle, name, svg.NAME, "end"),
        svg.text(_LEFT - 12, middle + 15, what, svg.NOTE, "end"),
        svg.text(x, middle + 1, shown, svg.NAME),
        svg.text(x, middle + 15, note, svg.NOTE),
    ]


def _ceiling(found: Ingest, most: float, bottom: float) -> list[str]:
    """Return the line that no durable answer passes on this server."""
    cell = found.cell(WAITING, Case())
    if cell is None:
        return []
    x = _LEFT + length(cell.median.messages_per_s, most)
    return [
        svg.line((x, _TOP - 8), (x, bottom), svg.MARK, dashed=True),
        svg.text(x, _TOP - 14, "waiting ceiling", svg.MARKED, "middle"),
    ]


def _small_print(found: Ingest) -> list[str]:
    least = any(cell.median.cores < USED_UP for cell in found.headline())
    first = f"Wrapped messages, {Case().in_flight} in flight, a store that takes {Case().ack_ms:g} ms"
    return [
        f"{first}; {rounds_text(found)}{'; “at least”: its core was not used up' if least else ''}.",
        f"{machine_text(found.machine)}, the service on one of them; load average before: {load_text(found.machine)}.",
    ]
