"""Check a writer's table when the service starts, and every half minute while something is wrong with it.

So `/health/ready` shows a set-up problem before the first message. It clears when the table is fixed, without a restart
and without waiting for a message to try.
"""

import logging

from app.ingest.writer import Writer
from app.runtime.clock import Clock
from app.stores.sink import Appender, SinkState

LOOK_AGAIN_S = 30.0
DISK_AGAIN_S = 2.0  # a disk check costs almost nothing, and space may be freed at any moment

_log = logging.getLogger("sluice.writer")


async def watch(writer: Writer, appender: Appender, clock: Clock) -> None:
    """Keep `writer` informed of the health of its table, until cancelled."""
    while True:
        try:
            writer.found(await appender.check())
        except Exception:  # a defect of the check must not end the watch
            _log.exception("the table could not be checked")
        await writer.health.troubled.wait()
        await clock.sleep(DISK_AGAIN_S if writer.health.state is SinkState.DISK_FULL else LOOK_AGAIN_S)
