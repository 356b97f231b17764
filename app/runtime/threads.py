"""Schedule the threads of one processor: the event loop keeps running, and the server's threads wait until it idles.

The server reads and writes its sockets in its own threads. On Linux, a waking thread preempts the running one. On an
instance with one processor, every request and every response would cost two context switches for a few microseconds of
work. Threads under SCHED_BATCH do not preempt (https://man7.org/linux/man-pages/man7/sched.7.html), so they find more
work at once. By default, Python also makes a thread wait 5 ms for the interpreter before it interrupts the holder, so
requests arrive in lumps. The figures in bench/README.md are with a tenth of that.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SWITCH_S = 0.0005


def shorten_switch_interval() -> None:
    """Have Python interrupt a thread sooner when another one waits for the interpreter."""
    sys.setswitchinterval(_SWITCH_S)


@contextmanager
def started_in_the_background() -> Iterator[None]:
    """Keep threads that are started within the block from preempting others when they wake.

    If the system does not support it (macOS, some sandboxes), they are ordinary threads.
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
