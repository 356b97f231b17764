"""The few elements that a plot is made of, as SVG 1.1.

A plot has a card of its own colour behind it, so that it can be read on any page; where the reader prefers dark, card
and ink change together. Text has a rim of the card's colour, so that lines may pass behind it.
"""

import html
import math
from collections.abc import Iterable

INK, MUTED, GRID, MARK = "ink", "muted", "grid", "mark"
OWN, CEILING, TODAY = "own", "ceiling", "today"
TITLE, NAME, NOTE, MARKED = "title", "name", "note muted", "note mark"
"""The kinds of text: the head, what stands out, what explains, and what says of a marked line what it is."""
_LIGHT = {
    "card": "#ffffff",
    INK: "#1f2328",
    MUTED: "#59636e",
    GRID: "#d8dee4",
    MARK: "#1a7f37",
    OWN: "#0969da",
    CEILING: "#8c959f",
    TODAY: "#bc4c00",
}
_DARK = {
    "card": "#0d1117",
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#30363d",
    MARK: "#3fb950",
    OWN: "#4493f8",
    CEILING: "#656c76",
    TODAY: "#db6d28",
}
_RULES = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;"
    "paint-order:stroke;stroke-width:4px}"
    ".title{font-size:18px;font-weight:600}.name{font-size:13px;font-weight:600}.note{font-size:11px}"
    ".line{stroke-width:1.5px}.grid{stroke-width:1px}.ring{stroke-width:2px}"
)


def document(size: tuple[float, float], title: str, description: str, body: Iterable[str]) -> str:
    """Return a picture of a width and height; `title` and `description` are for those who hear it."""
    width, height = size
    style = f"{_RULES}{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="title description">',
            f'<title id="title">{html.escape(title)}</title>',
            f'<desc id="description">{html.escape(description)}</desc>',
            f"<style>{style}</style>",
            f'<rect class="card" width="{width:g}" height="{height:g}" rx="8"/>',
            *body,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return words whose base line begins, has its middle or ends at a point; of which kind says how they look."""
    place = f'x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"'
    return f'<text class="{kind or INK}" {place}>{html.escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a bar."""
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
    return f'<rect class="{colour} bar" {place}/>'


def line(begin: tuple[float, float], end: tuple[float, float], colour: str, *, dashed: bool = False) -> str:
    """Return a straight line."""
    (x, y), (to_x, to_y) = begin, end
    ends = f'x1="{_number(x)}" y1="{_number(y)}" x2="{_number(to_x)}" y2="{_number(to_y)}"'
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<line class="{colour} line" {ends}{dashes}/>'


def dot(x: float, y: float, radius: float, colour: str, *, hollow: bool = False) -> str:
    """Return a dot, or a ring."""
    kind = "ring" if hollow else "dot"
    return f'<circle class="{colour} {kind}" cx="{_number(x)}" cy="{_number(y)}" r="{radius:g}"/>'


def ticks(most: float, at_most: int = 6) -> list[float]:
    """Return round numbers from 0 to at least `most`: whole steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most / at_most))
    step = next(power * times for times in (1, 2, 5, 10) if most / (power * times) <= at_most)
    return [number * step for number in range(math.ceil(most / step) + 1)]


def _colours(palette: dict[str, str]) -> str:
    card = palette["card"]
    rules = [f".card{{fill:{card}}}", f"text{{fill:{palette[INK]};stroke:{card}}}"]
    for name in (OWN, CEILING, TODAY, MUTED, GRID, MARK):
        colour = palette[name]
        rules.append(
            f".{name}{{fill:{colour}}}.{name}.line{{stroke:{colour}}}.{name}.ring{{fill:{card};stroke:{colour}}}"
        )
    return "".join(rules)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
