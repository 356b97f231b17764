"""Which threads may interrupt which, in this process and in one that serves."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from app.runtime.threads import started_in_the_background
from tests.support.process import serving

linux = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="NOT tested here: only Linux knows SCHED_BATCH")


def policy_of_a_new_thread() -> int:
    """Return the scheduling policy of a thread that is started now."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
    thread.start()
    thread.join()
    return found[0]


@linux
def test_only_threads_that_are_started_within_are_in_the_background() -> None:
    """This one is as it was, whatever ends the block."""
    with suppress(KeyError), started_in_the_background():
        assert policy_of_a_new_thread() == os.SCHED_BATCH
        raise KeyError
    assert (os.sched_getscheduler(0), policy_of_a_new_thread()) == (os.SCHED_OTHER, os.SCHED_OTHER)


def policies_of(pid: int) -> dict[int, int]:
    """Return the policy of each thread of a process."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            found[int(task.name)] = os.sched_getscheduler(int(task.name))
    return found


@linux
async def test_the_servers_threads_interrupt_the_event_loop_no_more(tmp_path: Path) -> None:
    """Its own thread is as it was started."""
    async with serving(tmp_path / "data.duckdb") as (process, _):
        policies = policies_of(process.process.pid)
        assert policies.pop(process.process.pid) == os.SCHED_OTHER
        assert os.SCHED_BATCH in policies.values()
