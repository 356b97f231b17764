"""Free space on the embedded store's disk, checked so that writes stop before there is none."""

import os
from pathlib import Path

# strerror's texts for ENOSPC, EDQUOT and EFBIG (a limit on the size of a file, such as that of `ulimit -f`).
_NO_ROOM = ("no space left on device", "disk quota exceeded", "file too large")
_MIB = 1024**2


class DiskSpace:
    """Checks the file system of one file, of which `min_free_bytes` stay free; 0 turns the check off."""

    def __init__(self, path: str, min_free_bytes: int) -> None:
        self._folder = None if path == ":memory:" or not min_free_bytes else Path(path).resolve().parent
        self._min_free_bytes = min_free_bytes

    def shortage(self, size_bytes: int = 0) -> str | None:
        """Return why `size_bytes` more must not be written, or None. Costs one system call, a microsecond or two."""
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
