"""How much room the disk of the embedded store has, so that writes stop while there is still some."""

import os
from pathlib import Path

# As strerror says them: ENOSPC, EDQUOT, and EFBIG (a limit on the size of a file, as ulimit -f sets it).
_NO_ROOM = ("no space left on device", "disk quota exceeded", "file too large")
_MIB = 1024**2


class DiskSpace:
    """Watches the file system of one file. `min_free_bytes` stay free whatever is written; 0 turns the watch off."""

    def __init__(self, path: str, min_free_bytes: int) -> None:
        self._folder = None if path == ":memory:" or not min_free_bytes else Path(path).resolve().parent
        self._min_free_bytes = min_free_bytes

    def shortage(self, size_bytes: int = 0) -> str | None:
        """Return why `size_bytes` more must not be written, or None. A system call of a microsecond or two."""
        if self._folder is None:
            return None
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            return f"the folder of the data cannot be examined: {error.strerror}"
        free_bytes = found.f_bavail * found.f_frsize
        if free_bytes >= self._min_free_bytes + size_bytes:
            return None
        return (
            f"the disk has {free_bytes // _MIB} MiB left, and SLUICE_MIN_FREE_DISK_BYTES keeps "
            f"{self._min_free_bytes // _MIB} MiB free"
        )


def is_about_room(message: str) -> bool:
    """Return whether an error of the store says that the disk, a quota or the file is full."""
    text = message.lower()
    return any(words in text for words in _NO_ROOM)
