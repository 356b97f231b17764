"""How the threads of one processor take turns: the event loop's goes on, the server's wait until it rests.

The server reads and writes its sockets in threads of its own. On Linux a thread that wakes takes the processor from the
one that runs, so on an instance with one processor each request and each answer would cost two changes of thread, for a
few microseconds of work. SCHED_BATCH is for threads that need not (https://man7.org/linux/man-pages/man7/sched.7.html):
they find more to do at once. And Python lets a thread wait 5 ms for the interpreter before the one that has it is
interrupted, by which requests come in lumps; what is told in bench/README.md is with a tenth of that.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SWITCH_S = 0.0005


def shorten_switch_interval() -> None:
    """Have Python interrupt a thread soon when another one waits for the interpreter."""
    sys.setswitchinterval(_SWITCH_S)


@contextmanager
def started_in_the_background() -> Iterator[None]:
    """Let threads that this one starts within the block interrupt no other when they wake.

    Where the system knows no such thing (macOS, some sandboxes), they are threads like any other.
    """
    try:
        usual, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # threads inherit it
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, usual, parameters)
