"""What a protocol asks of its runner, as data; a protocol is a generator of effects.

Running one is a loop: perform the effect, send its outcome back. The blocking client and the asynchronous one have each
such a loop (`connection.py`), and everything else in common.
"""

from collections.abc import Generator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
R = TypeVar("R")


class Request(msgspec.Struct, frozen=True):
    """A request. `path` begins with a slash, below the service's URL."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    read_timeout_s: float = 60.0


class Reply(msgspec.Struct, frozen=True):
    """A response; the names of headers are in lower case. `content` of a stream that began well is empty."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""


class Broken(msgspec.Struct, frozen=True):
    """No response, or not all of one. `is_permanent`: asking again cannot help, such as with an unknown host."""

    reason: str
    is_permanent: bool = False


class Send(msgspec.Struct, frozen=True):
    """Send a request and read all of the response. Outcome: `Reply` or `Broken`."""

    request: Request


class Open(msgspec.Struct, frozen=True):
    """Send a request and read the head of the response, or all of a refusal. Outcome: `Reply` or `Broken`."""

    request: Request


class Read(msgspec.Struct, frozen=True):
    """Read from the opened response. Outcome: bytes, None at its end, or `Broken`."""


class Pause(msgspec.Struct, frozen=True):
    """Wait. `reason` is empty for an ordinary pause, and says what went wrong before another attempt."""

    seconds: float
    reason: str = ""


class Emit(msgspec.Struct, Generic[T], frozen=True):
    """Hand a value to the caller."""

    value: T


Outcome = Reply | Broken | bytes | None
Steps = Generator[Send | Open | Read | Pause | Emit[T], Any, R]
"""A protocol that emits `T` and returns `R`."""
