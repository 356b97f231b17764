"""The memory of the process: what its start made is not searched again, and what a burst took is given back.

Three allocators have a share in it. Python's own gives back what is empty. The C library's keeps what was freed, for
the next burst; it is asked to give that back when an instance has fallen quiet. The HTTP server's (jemalloc) is told
when it is loaded (app/__main__.py) to keep nothing for longer than a second.
"""

import ctypes
import gc
from collections.abc import Callable

from app.clock import Clock
from app.daemon import in_daemon_thread

# Python looks for cycles whenever some hundreds more objects exist than before (700 in 3.11), which under load is all
# the time, and finds none: it took a fifth of a push (bench/README.md). Young cycles wait a few megabytes longer.
# Old cycles must not wait for days: rows of a tail whose readers have left become garbage when they are young no more.
# At 50 young searches before a middle one, and 100 of those before a full one, memory grew for hours (docs/soak.md).
_OBJECTS_BEFORE_A_SEARCH, _YOUNG_SEARCHES, _MIDDLE_SEARCHES = 20_000, 5, 5
_LOOK_EVERY_S = 1.0
_WORTH_IT = 1_000  # messages since the last time: a trickle leaves nothing worth giving back


def search_seldom_for_cycles() -> None:
    """Clean up after the start, and let the garbage collector look rarely, and never at what stays of the start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_SEARCH, _YOUNG_SEARCHES, _MIDDLE_SEARCHES)
    gc.enable()


def trimmer() -> Callable[[], object] | None:
    """Return what gives freed memory back to the system, None where the C library has no such function."""
    try:
        trim = ctypes.CDLL(None).malloc_trim  # https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    except (AttributeError, OSError):  # not glibc
        return None
    return lambda: trim(0)


async def give_back_when_quiet(
    open_messages: Callable[[], int], taken: Callable[[], int], clock: Clock, trim: Callable[[], object] | None
) -> None:
    """Call `trim` in a thread whenever messages were `taken` and none is open any more; until cancelled."""
    trimmed_at = taken()
    while trim is not None:
        await clock.sleep(_LOOK_EVERY_S)
        if not open_messages() and taken() - trimmed_at >= _WORTH_IT:
            trimmed_at = taken()
            await in_daemon_thread(trim, "trim")
