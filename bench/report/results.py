"""What the files of bench/results say, as types. A file that is not there is None: its measurement was not made yet."""

import statistics
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.ingest.cells import Round
from bench.ingest.messages import Case
from tests.support.billing.bill import Layout

Said = TypeVar("Said")
Machine = dict[str, Any]


class Cell(msgspec.Struct, frozen=True):
    """A contender under one load."""

    contender: str
    case: Case
    rounds: list[Round]
    median: Round


class Ratio(msgspec.Struct, frozen=True):
    """How many times as many records a second one takes as the other: of each round, and their median."""

    rounds: list[float]
    median: float


class Ingest(msgspec.Struct, frozen=True):
    """ingest.json (bench/ingest/compare.py)."""

    machine: Machine
    rounds: int
    seconds: float
    cells: list[Cell]
    ratios: dict[str, Ratio]

    def cell(self, contender: str, case: Case) -> Cell | None:
        """Return what a contender did under a load, where it had that load."""
        return next((cell for cell in self.cells if (cell.contender, cell.case) == (contender, case)), None)

    def headline(self) -> list[Cell]:
        """Return what every contender did under the first load, in the order they were measured."""
        return [cell for cell in self.cells if cell.case == Case()]

    def cases(self) -> list[Case]:
        """Return the loads there were, each once."""
        return list(dict.fromkeys(cell.case for cell in self.cells))

    def ratio(self, one: str, other: str) -> Ratio | None:
        """Return what is said of two contenders under the first load."""
        return self.ratios.get(f"{one} / {other}")


class LatencyCell(msgspec.Struct, frozen=True):
    """A contender at a part of the load the service can bear; `added_ms` has p50, p99 and p99.9, medians of rounds."""

    contender: str
    load: float
    messages_per_s: float
    added_ms: dict[str, float]
    worst_p99_ms: float
    """The p99 of the round in which it was highest."""


class Latency(msgspec.Struct, frozen=True):
    """latency.json (bench/ingest/latency.py)."""

    machine: Machine
    ack_ms: float
    cells: list[LatencyCell]


class WorkersCell(msgspec.Struct, frozen=True):
    """What so many instances took together."""

    workers: int
    case: Case
    messages_per_s: float
    cpu_us_per_message: float


class Workers(msgspec.Struct, frozen=True):
    """workers.json (bench/ingest/workers.py)."""

    machine: Machine
    cells: list[WorkersCell]


class Start(msgspec.Struct, frozen=True):
    """One start, in seconds: on the clock and of the processor."""

    wall_s: float
    cpu_s: float


class StartCell(msgspec.Struct, frozen=True):
    """The starts of one contender."""

    contender: str
    rounds: list[Start]
    median: Start


class Package(msgspec.Struct, frozen=True):
    """What importing a package took, without what it imported in turn."""

    name: str
    self_ms: float


class Imports(msgspec.Struct, frozen=True):
    """What a start imports until it is ready; `packages` are the dearest."""

    modules: int
    self_ms: float
    packages: list[Package]


class Starts(msgspec.Struct, frozen=True):
    """start.json (bench/start/time_to_ready.py)."""

    machine: Machine
    rounds: int
    cells: list[StartCell]
    imports: dict[str, Imports]


class Held(msgspec.Struct, frozen=True):
    """What a process holds, in MiB (bench/start/memory.py)."""

    rss: float
    pss: float
    anonymous: float


class UnderLoad(msgspec.Struct, frozen=True):
    """What it held meanwhile, in MiB."""

    meanwhile: Held
    peak_rss: float


class Burst(UnderLoad, frozen=True):
    """… and when it was quiet again."""

    after: Held


class Store(msgspec.Struct, frozen=True):
    """What the service holds over one of the stores, in MiB."""

    idle: Held
    under_load: UnderLoad
    bursts: list[Burst]
    growth_rss: float


class Memory(msgspec.Struct, frozen=True):
    """memory.json (bench/start/memory.py); `margin` is the growth, in MiB, that counts as none."""

    machine: Machine
    margin: float
    backends: dict[str, Store]


class Answers(msgspec.Struct, frozen=True):
    """How long the answers of one kind took, as the client saw it; `store_p50_ms` is the store's part of it."""

    p50_ms: float
    p99_ms: float
    store_p50_ms: float | None = None


class Api(msgspec.Struct, frozen=True):
    """api.json (bench/query/api.py), as far as it is shown here."""

    machine: Machine
    rows: int
    pages: dict[str, Answers]
    page_ceilings: dict[str, Answers]


class PriceCell(msgspec.Struct, frozen=True):
    """What one reader pays one way; None where the store refuses its query, or where no month is reckoned."""

    rows_per_s: int
    way: str
    reader: str
    bytes_per_million: float | None
    dollars_per_million: float | None
    dollars_per_month: float | None


class PagesAtHand(msgspec.Struct, frozen=True):
    """How long a page takes from a chunk at hand, and how many queries a cold one takes."""

    rows: int
    p50_ms: float
    p95_ms: float
    cold_queries: int


class Price(msgspec.Struct, frozen=True):
    """price.json (bench/price)."""

    machine: Machine
    at_hand: PagesAtHand
    layout: Layout
    cells: list[PriceCell]


class FreshCell(msgspec.Struct, frozen=True):
    """How old the feed is with some settings, in seconds, and what readers pay a month; None: it is refused."""

    watermarks: str
    poll_s: float
    p50_s: float
    p99_s: float
    look_p50_s: float
    look_p99_s: float
    dollars_per_month: dict[str, float | None]


class Fresh(msgspec.Struct, frozen=True):
    """fresh.json (bench/price/fresh)."""

    machine: Machine
    rows_per_s: int
    cells: list[FreshCell]


class Results(msgspec.Struct, frozen=True):
    """Everything; each field is the file of its name."""

    ingest: Ingest | None = None
    latency: Latency | None = None
    workers: Workers | None = None
    start: Starts | None = None
    memory: Memory | None = None
    api: Api | None = None
    price: Price | None = None
    fresh: Fresh | None = None


def read(folder: Path) -> Results:
    """Return what the files in `folder` say.

    Raises:
        ValidationError: one of them is not as its measurement writes it.
    """
    return Results(
        ingest=_file(folder / "ingest.json", Ingest),
        latency=_file(folder / "latency.json", Latency),
        workers=_file(folder / "workers.json", Workers),
        start=_file(folder / "start.json", Starts),
        memory=_file(folder / "memory.json", Memory),
        api=_file(folder / "api.json", Api),
        price=_file(folder / "price.json", Price),
        fresh=_file(folder / "fresh.json", Fresh),
    )


def paired(one: Cell, other: Cell) -> float:
    """Return how many times as many records a second `one` takes as `other`: the median of the rounds' ratios."""
    pairs = zip(one.rounds, other.rounds, strict=False)
    return statistics.median(mine.records_per_s / theirs.records_per_s for mine, theirs in pairs)


def _file(path: Path, kind: type[Said]) -> Said | None:
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None
