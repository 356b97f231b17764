"""Draw cases and check them: one area for so many examples; what is found is shrunk and can be kept as a file."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.long.fuzz.case import Asked, Kept
from tests.long.fuzz.requests import AREAS
from tests.long.fuzz.target import Target, WrongError

CORPUS = Path(__file__).parent / "corpus"
_SHRINK = (Phase.generate, Phase.shrink)


def fuzz(area: str, examples: int, number: int, target: Target) -> Kept | None:
    """Check so many cases of an area, drawn from a seed; return the smallest that is wrong, None where none is."""
    last: list[Kept] = []

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=_SHRINK,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(AREAS[area])
    def check(case: Asked) -> None:
        try:
            target.check(case)
        except WrongError as error:
            last.append(Kept(found=str(error)[:500], case=case))
            raise

    run: Callable[[], None] = check
    try:
        run()
    except Exception as error:
        if not last:
            raise
        if not isinstance(error, WrongError):  # it was wrong once and not again: kept all the same, and said so
            return msgspec.structs.replace(last[-1], found=f"not every time: {last[-1].found}")
    return last[-1] if last else None


def keep(kept: Kept, folder: Path, area: str) -> Path:
    """Write a case to a file of its own; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    words = re.sub(r"[^a-z0-9]+", "-", kept.found.lower())[:50].strip("-")
    file = folder / f"{area}-{words}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    return file


def kept_cases(folder: Path = CORPUS) -> dict[str, Kept]:
    """Return the cases of a folder by their names."""
    return {file.stem: msgspec.json.decode(file.read_bytes(), type=Kept) for file in sorted(folder.glob("*.json"))}
