"""What an engine (docker.py, checker.py) is asked: `build`, and `run` with a read-only root and no capabilities."""

from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]


class ImageError(Exception):
    """An image cannot be built or run, or is not as it should be; the message says what is wrong."""


class Start(msgspec.Struct, frozen=True):
    """How a container is started: its settings, files of this machine that it may read, another command.

    `then` is a command for this machine while the container runs; BASE_URL tells it where.
    """

    environment: dict[str, str] = {}
    mounts: dict[Path, str] = {}
    command: list[str] = []
    then: list[str] = []


class Ran(msgspec.Struct, frozen=True):
    """How it went: seconds from the start of the process to the first 200, and the status after SIGTERM."""

    ready_s: float
    exit_status: int
