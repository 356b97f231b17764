"""A local-bigquery with the default record's tables: `python -m tests.support.local_bigquery_process FOLDER`.

It uses free ports, prints one line of JSON when it is ready, and ends when standard input, a pipe, does: the process at
the other end has died.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from sluice.local.bigquery.install import install
from sluice.local.bigquery.process import LocalBigQuery
from sluice.local.bigquery.provision import provision, tables_of
from sluice.local.child import Leash
from sluice.local.declared import Declared

_STOP_WITHIN_S = 15.0


async def serve(folder: Path) -> int:
    """Serve until standard input ends; return 1 if local-bigquery ended first, or did not stop cleanly."""
    installation = install(lambda _: None)
    async with Leash() as leash:
        running = await LocalBigQuery.start(installation, leash, folder)
        try:
            await running.wait_until_ready()
            await asyncio.to_thread(provision, running.place, tables_of(Declared()))
            sys.stdout.write(f"{msgspec.json.encode(running.place).decode()}\n")
            sys.stdout.flush()
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
            waits = {asyncio.ensure_future(reader.read()), asyncio.ensure_future(running.child.process.wait())}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            ended_first = running.child.process.returncode is not None
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        finally:
            status = await running.child.stop(_STOP_WITHIN_S)
    return int(ended_first or status != 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(Path(sys.argv[1]))))
