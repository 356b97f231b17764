"""Which threads may interrupt which, in this process and in one that serves."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.process import serving

linux = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="NOT tested here: only Linux knows SCHED_BATCH")


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
