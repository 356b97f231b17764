"""Declarations that a worker process imports."""

import time
from typing import Annotated, Any, ClassVar

import msgspec

from app.record import Record
from tests.ingest.people import Person

print("whatever a declaration prints, it is no result")  # noqa: T201 - see above


class Slow(msgspec.Struct):
    """Drops what it does not declare, and takes as long, as much processor time and as much memory as its record."""

    undeclared: ClassVar = "drop"
    id: Annotated[str, msgspec.Meta(extra={"sluice": ["id"]})]
    sleep_s: float = 0.0
    spin_s: float = 0.0
    mib: int = 0
    dies: bool = False
    data: Any = None

    def __post_init__(self) -> None:
        """Do so."""
        time.sleep(self.sleep_s)
        until_s = time.process_time() + self.spin_s
        while time.process_time() < until_s:
            pass
        bytes(self.mib * 1024**2)
        if self.dies:
            raise SystemExit(3)


STREAMS = {"records": Record, "slow": Slow, "people": Person}
