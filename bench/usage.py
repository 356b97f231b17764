"""What a process uses of the machine, as the kernel reports it."""

import os
import threading
import time
from pathlib import Path
from typing import Self

_SAMPLE_S = 0.02


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, to the microsecond (/proc counts in units of 10 ms)."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) makes it, which Python does not offer


def resident_mib(pid: int) -> float:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


class Watch:
    """Watches what a process uses, from the block's begin to its end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.before_mib = resident_mib(pid)
        self._samples_mib = [self.before_mib]
        self._begun_s, self._begun_cpu_s = time.perf_counter(), cpu_s(pid)
        self.elapsed_s = self.cores = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.elapsed_s = time.perf_counter() - self._begun_s
        self.cores = (cpu_s(self._pid) - self._begun_cpu_s) / self.elapsed_s
        self._ended.set()
        self._thread.join()
        self._samples_mib.append(resident_mib(self._pid))

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self._samples_mib.append(resident_mib(self._pid))

    @property
    def peak_mib(self) -> float:
        """What the process held at most."""
        return max(self._samples_mib)

    def used(self) -> dict[str, float]:
        """Return what was used: processor cores on average, and memory at the begin, at most, and at the end.

        `second_half_mib` is by how much the most of the second half exceeds the most of the first: about nothing where
        memory does not depend on how long it takes.
        """
        middle = (len(self._samples_mib) + 1) // 2
        halves = (self._samples_mib[:middle], self._samples_mib[middle:])
        first_mib, second_mib = (max(half, default=self.before_mib) for half in halves)
        return {
            "cores": round(self.cores, 2),
            "before_mib": round(self.before_mib, 1),
            "peak_mib": round(self.peak_mib, 1),
            "second_half_mib": round(second_mib - first_mib, 1),
            "after_mib": round(self._samples_mib[-1], 1),
        }
