"""A file that appears when it is complete."""

import os
from pathlib import Path
from typing import Self

from sluice_client.protocol.exports import Begin


class Draft:
    """A file beside `path`, which takes its place at the end, or vanishes."""

    def __init__(self, path: Path) -> None:
        """Open the draft."""
        self._path, self._draft = path, path.with_name(f"{path.name}.draft")
        self._file = self._draft.open("wb")

    def __enter__(self) -> Self:
        """Return the draft."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not complete."""
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def take(self, part: Begin | bytes) -> None:
        """Write bytes, or begin again."""
        if isinstance(part, bytes):
            self._file.write(part)
        else:
            self._file.seek(0)
            self._file.truncate()

    def complete(self) -> None:
        """Put the file in its place, durably."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
