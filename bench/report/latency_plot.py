"""results/latency.svg: what is added to the store's acknowledgement, as dots on a scale of powers of ten.

Dots have no length, so that such a scale takes nothing away; a bar's would.
"""

import math

from bench.ingest.contenders import SLUICE
from bench.report import svg
from bench.report.bounds import AT_LOAD, MOST_ADDED_MS
from bench.report.figures import figure, load_text, machine_text, share
from bench.report.results import Latency, LatencyCell

QUANTILES = ("p50", "p99", "p99.9")
_LEAST_MS = 0.1  # what the load can tell apart
_WIDTH, _LEFT, _LENGTH, _TOP, _ROW = 900, 262, 370, 114, 40


def latency_plot(found: Latency) -> str:
    """Return the plot of every cell, in the order they were measured."""
    most_ms = max(MOST_ADDED_MS, *(max(cell.added_ms.values()) for cell in found.cells))
    decades = math.ceil(math.log10(most_ms / _LEAST_MS))
    bottom = _TOP + _ROW * len(found.cells)
    head = f"Milliseconds added to a store's acknowledgement of {found.ack_ms:g} ms"
    how = "open load, timed from when a message was due; nearer to the left is better"
    body = [svg.text(24, 32, head, svg.TITLE), svg.text(24, 52, how, svg.MUTED), *_legend(76)]
    body += _scale(decades, bottom)
    for place, cell in enumerate(found.cells):
        body += _one(cell, _TOP + _ROW * (place + 0.5), decades)
    small = f"{machine_text(found.machine)}, the service on one; load average before: {load_text(found.machine)}."
    body.append(svg.text(24, bottom + 46, small, svg.NOTE))
    said = "; ".join(f"{cell.contender} at {share(cell.load)} load: {_values(cell)}" for cell in found.cells)
    return svg.document((_WIDTH, bottom + 64), head, f"{said}. {small}", body)


def position(value_ms: float, decades: int) -> float:
    """Return how far right a value stands; what is too short to be told apart stands at the left end."""
    return math.log10(max(value_ms, _LEAST_MS) / _LEAST_MS) / decades * _LENGTH


def _legend(y: float) -> list[str]:
    made, x = list[str](), 30.0
    for name in QUANTILES:
        made += [_dot(x, y - 4, name, svg.MUTED), svg.text(x + 10, y, name, svg.NOTE)]
        x += 60
    return made


def _scale(decades: int, bottom: float) -> list[str]:
    """Return the lines of the powers of ten, and that of the bound."""
    made = [svg.text(_LEFT + _LENGTH + 24, bottom + 16, "ms", svg.NOTE)]
    for decade in range(decades + 1):
        value_ms = _LEAST_MS * 10**decade
        x = _LEFT + position(value_ms, decades)
        made.append(svg.line((x, _TOP - 4), (x, bottom), svg.GRID))
        made.append(svg.text(x, bottom + 16, f"{value_ms:g}", svg.NOTE, "middle"))
    x = _LEFT + position(MOST_ADDED_MS, decades)
    made.append(svg.line((x, _TOP - 8), (x, bottom), svg.MARK, dashed=True))
    made.append(svg.text(x, _TOP - 14, f"bound of p99 at {share(AT_LOAD)} load", svg.MARKED, "middle"))
    return made


def _one(cell: LatencyCell, y: float, decades: int) -> list[str]:
    colour = svg.OWN if cell.contender == SLUICE else svg.CEILING
    places = {name: _LEFT + position(cell.added_ms[name], decades) for name in QUANTILES}
    rate = f"{share(cell.load)} load, {cell.messages_per_s:,.0f} messages/s"
    return [
        svg.line((min(places.values()), y), (max(places.values()), y), colour),
        *(_dot(x, y, name, colour) for name, x in places.items()),
        svg.text(_LEFT - 12, y - 2, cell.contender, svg.NAME, "end"),
        svg.text(_LEFT - 12, y + 13, rate, svg.NOTE, "end"),
        svg.text(_LEFT + _LENGTH + 24, y + 4, _values(cell)),
    ]


def _dot(x: float, y: float, quantile: str, colour: str) -> str:
    return svg.dot(x, y, 3 if quantile == "p99.9" else 5, colour, hollow=quantile == "p50")


def _values(cell: LatencyCell) -> str:
    return ", ".join(f"{name} {figure(cell.added_ms[name])}" for name in QUANTILES)
