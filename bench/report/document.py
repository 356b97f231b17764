"""Which table stands between which marks of bench/README.md, and which plots there are."""

from collections.abc import Callable
from typing import Any

import msgspec

from bench.documents import between_marks
from bench.places import ROOT
from bench.report import ingest, price, service
from bench.report.bounds import must_reach
from bench.report.latency_plot import latency_plot
from bench.report.rate_plot import rate_plot
from bench.report.results import Results

DOCUMENT = ROOT / "bench" / "README.md"
_EVERYTHING = ""


class Table(msgspec.Struct, frozen=True):
    """A part of the document that is made: of which result, which command writes that, and how."""

    result: str
    command: str
    make: Callable[[Any], list[str]]

    def lines(self, results: Results) -> list[str]:
        """Return the table; a sentence in its place where its result is not there."""
        if self.result == _EVERYTHING:
            return self.make(results)
        found = getattr(results, self.result)
        if found is None:
            return [f"Not measured yet: `make {self.command}` writes bench/results/{self.result}.json."]
        return self.make(found)


TABLES = {
    "answer": Table("ingest", "bench-ingest", ingest.answer),
    "plot": Table("ingest", "bench-ingest", ingest.plot),
    "headline": Table("ingest", "bench-ingest", ingest.headline),
    "bounds": Table(_EVERYTHING, "bench", must_reach),
    "sweep": Table("ingest", "bench-ingest", ingest.sweep),
    "latency": Table("latency", "bench-ingest", service.latency),
    "workers": Table("workers", "bench-ingest", service.workers),
    "start": Table("start", "bench-start", service.start),
    "imports": Table("start", "bench-start", service.imports),
    "memory": Table("memory", "bench-start", service.memory),
    "query": Table("api", "bench-query", service.query),
    "price": Table("price", "bench-price", price.price),
    "fresh": Table("fresh", "bench-fresh", price.fresh),
    "machines": Table(_EVERYTHING, "bench", service.machines),
}


def with_tables(text: str, results: Results) -> str:
    """Return the document with its tables made anew.

    Raises:
        ValueError: the document has no place for a table.
    """
    for name, table in TABLES.items():
        text = between_marks(text, name, "by bench/report", table.lines(results))
    return text


def plots(results: Results) -> dict[str, str]:
    """Return each plot that there are results for, by the name of its file in bench/results."""
    found = {}
    if results.ingest is not None and results.ingest.headline():
        found["ingest.svg"] = rate_plot(results.ingest)
    if results.latency is not None and results.latency.cells:
        found["latency.svg"] = latency_plot(results.latency)
    return found
