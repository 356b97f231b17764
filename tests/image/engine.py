"""What an engine does with an image, and what it says about it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]


class ImageError(Exception):
    """An image cannot be built or run, or is not as it should be; the message says what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a container is started: its settings, files of this machine that it may read, another command.

    `then` is a command for this machine while the container runs; BASE_URL tells it where.
    """

    environment: dict[str, str] = field(default_factory=dict)
    mounts: dict[Path, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    then: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How it went: seconds from the start of the process to the first 200, and the status after SIGTERM."""

    ready_s: float
    exit_status: int


class Engine(Protocol):
    """Builds one target of the Dockerfile and runs it with a read-only root and without any capability."""

    def build(self, target: str, build_args: dict[str, str]) -> float:
        """Build it; return its compressed size in megabytes (10^6 bytes).

        Raises:
            ImageError: it cannot be built.
        """
        ...

    def run(self, target: str, build_args: dict[str, str], start: Start) -> Ran:
        """Start it, wait for `/health/ready`, do what is to be done then, stop it.

        Raises:
            ImageError: it does not start, or `then` fails.
        """
        ...
