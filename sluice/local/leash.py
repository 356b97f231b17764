"""End the processes of a parent that has died, for whatever reason.

A parent that is killed cannot stop its children, and only Linux can notify a child that its parent died. So the
parent starts this as one more child and holds the other end of its standard input. `+PID` puts a process on the
leash, `-PID` takes it off, and the end of input means that the parent has died.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 15.0
_POLL_S = 0.05


def read_leash(lines: Iterable[str]) -> list[int]:
    """Return the process ids that are still on the leash when `lines` end, in the order they came."""
    leashed: dict[int, None] = {}
    for line in lines:
        sign, pid = line[0], int(line[1:])
        if sign == "+":
            leashed[pid] = None
        else:
            leashed.pop(pid, None)
    return list(leashed)


def end_processes(pids: Iterable[int], grace_s: float = GRACE_S) -> None:
    """End each process, the leader of its own group: SIGTERM, then SIGKILL to the group after `grace_s`."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
        end = time.monotonic() + grace_s
        while time.monotonic() < end and _is_alive(pid):
            time.sleep(_POLL_S)
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
            continue


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    end_processes(read_leash(sys.stdin))
