"""The memory of the process: garbage collection, and what the allocators keep after a burst.

Three allocators are involved. Python's own returns empty arenas. The C library's keeps freed memory for the next burst:
large blocks are exempt from that (`return_large_blocks`), and the rest is returned when an instance becomes idle
(`trim_when_idle`). The HTTP server's (jemalloc) is configured before it loads (app/__main__.py), to keep nothing for
longer than a second.
"""

import ctypes
import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from app.runtime.clock import Clock
from app.runtime.threads import run_in_daemon_thread

# By default, Python collects whenever a few hundred more objects exist than before (700 in 3.11). Under load it does so
# all the time, and finds nothing: it took a fifth of a push. Young cycles now wait a few megabytes
# longer. Old cycles must not wait for days: the rows of an abandoned tail become garbage when they are no longer young.
# With 50 young collections per middle one, and 100 of those per full one, memory grew for hours (`make soak`).
_OBJECTS_BEFORE_A_SEARCH, _YOUNG_SEARCHES, _MIDDLE_SEARCHES = 20_000, 5, 5
# glibc raises this threshold whenever a larger block is freed, up to 32 MiB, and allocates later blocks from its
# arenas. A text of 28 MiB then leaves a hole there that the next one rarely fits. Under messages of that size the
# process used 520-720 MiB, and 390-460 with the threshold fixed (`make attack`, gzip-of-geojson). Batches of arrays
# stay below it, and glibc keeps so much at the end of the heap instead of 128 KiB. Mapping and returning the memory of
# each batch took 7 % of the processor time of arrays.
_LARGE_BLOCK_BYTES, _FREE_HEAP_BYTES = 16 * 1024 * 1024, 32 * 1024 * 1024
# One for each of twenty threads kept 35-50 MiB; two keep 12-15 (`make soak`). The event loop does most of the work.
_ARENAS = 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
# https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files, and version 1
_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_LOOK_EVERY_S = 1.0
_WORTH_IT = 1_000  # messages since the last trim: a trickle leaves nothing worth returning


def search_seldom_for_cycles() -> None:
    """Collect after start-up, then let the garbage collector run rarely, and never on objects from the start-up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_SEARCH, _YOUNG_SEARCHES, _MIDDLE_SEARCHES)
    gc.enable()


def return_large_blocks() -> bool:
    """Have the C library return large blocks to the system when they are freed; return False if it is not glibc.

    Call it before any thread starts. The environment takes precedence (MALLOC_ARENA_MAX and so on).
    """
    try:
        set_option = ctypes.CDLL(None).mallopt  # https://man7.org/linux/man-pages/man3/mallopt.3.html
    except (AttributeError, OSError):
        return False
    options = {
        _M_TRIM_THRESHOLD: (_FREE_HEAP_BYTES, "MALLOC_TRIM_THRESHOLD_"),
        _M_MMAP_THRESHOLD: (_LARGE_BLOCK_BYTES, "MALLOC_MMAP_THRESHOLD_"),
        _M_ARENA_MAX: (_ARENAS, "MALLOC_ARENA_MAX"),
    }
    results = [name in os.environ or set_option(option, value) == 1 for option, (value, name) in options.items()]
    return all(results)


def container_memory_bytes(files: Sequence[Path] = _LIMIT_FILES) -> int:
    """Return the memory of the container, or of the machine if that is less or there is no limit."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [int(text) for file in files if (text := _text(file)).isdecimal()]
    return min([machine_bytes, *limits])


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def trimmer() -> Callable[[], object] | None:
    """Return the function that returns freed memory to the system; None if the C library has none."""
    try:
        trim = ctypes.CDLL(None).malloc_trim  # https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    except (AttributeError, OSError):  # not glibc
        return None
    return lambda: trim(0)


async def trim_when_idle(
    open_messages: Callable[[], int], taken: Callable[[], int], clock: Clock, trim: Callable[[], object] | None
) -> None:
    """Call `trim` in a thread whenever messages were `taken` since the last time and none is open, until cancelled."""
    trimmed_at = taken()
    while trim is not None:
        await clock.sleep(_LOOK_EVERY_S)
        if not open_messages() and taken() - trimmed_at >= _WORTH_IT:
            trimmed_at = taken()
            await run_in_daemon_thread(trim, "trim")
