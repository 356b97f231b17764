"""`sluice drill`: break one thing, wait until it is mended by the run-book, and compare the records."""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sluice.local.child import ChildError
from sluice.local.environment import SERVICE_PORT
from sluice.local.ports import choose_port, port_number
from sluice.local.signing import VARIABLE, local_secret
from sluice.ops.drill.catalogue import DRILLS, Drill
from sluice.ops.drill.run_book import RunBookError, laptop_commands, run_book_path, run_commands, section_of
from sluice.ops.drill.system import System, View, running_system
from sluice.ops.drill.trickle import Trickle, compare

_LOOK_EVERY_S = 0.2
_FIRST_RECORDS = 5
_MENDED, _FAILED, _STOPPED = 0, 1, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("name", nargs="?", choices=sorted(DRILLS), metavar="NAME", help="which drill (default: any)")
    parser.add_argument("--list", action="store_true", help="list the drills, and what each breaks")
    parser.add_argument("--mend", action="store_true", help="run the run-book's own commands, instead of waiting")
    parser.add_argument("--port", type=port_number, help="the service's port (default: 8080, or a free one)")


def run(args: argparse.Namespace) -> int:
    """Do one drill; return 0 if all records are in the feed exactly once, 130 if it was stopped."""
    if args.list:
        for name, drill in DRILLS.items():
            print(f"{name:<14}{drill.about}\n{'':<14}run-book: {drill.section}")
        return 0
    drill = DRILLS[args.name or secrets.choice(sorted(DRILLS))]
    try:
        port = choose_port(args.port, preferred=SERVICE_PORT)
        document = run_book_path().read_text(encoding="utf-8")
        commands = laptop_commands(section_of(document, drill.section)) if args.mend else None
        return asyncio.run(_in_a_folder(drill, port, commands))
    except KeyboardInterrupt:
        print("\ndrill: stopped. It was:", drill.about)
        return _STOPPED
    except (ChildError, RunBookError, OSError) as error:
        print(f"drill: {error}", file=sys.stderr)
        return _FAILED


async def _in_a_folder(drill: Drill, port: int, commands: str | None) -> int:
    with tempfile.TemporaryDirectory(prefix="sluice-drill-") as folder:
        return await rehearse(drill, Path(folder), port, commands)


async def rehearse(drill: Drill, folder: Path, port: int, commands: str | None) -> int:
    """Do one drill in `folder`, mended by a person or by `commands`; return the exit status. Raises as the system."""
    settings = {"SLUICE_RECORD": drill.record, VARIABLE: local_secret(folder)}
    async with running_system(folder, port, settings, drill.max_attempts, 10.0 if commands is None else 1.0) as system:
        trickle = Trickle(system)
        publishing = asyncio.create_task(trickle.run())
        try:
            await _wait_for(
                system, lambda view: view.is_healthy and len(trickle.published) > _FIRST_RECORDS, publishing
            )
            await drill.break_it(system, trickle)
            broken_s = time.monotonic()
            await _wait_for(system, drill.is_broken, publishing)
            _tell(system, drill, is_automatic=commands is not None)
            if commands is not None:
                await run_commands(commands, system.variables)
            # Records go on while it is mended: those of then count, too.
            await _wait_for(system, _is_well, publishing)
            await _all_stored(system, trickle, publishing)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
        return await _verdict(system, trickle, drill, time.monotonic() - broken_s)


def _tell(system: System, drill: Drill, *, is_automatic: bool) -> None:
    exports = " ".join(f"{name}={value}" for name, value in system.variables.items())
    print(f"Something is broken. Page: {system.url}/  Health: {system.url}/health/ready")
    print(f"Run-book: {run_book_path()}. In another terminal:\n\n  export {exports}\n")
    if is_automatic:
        print(f"It is: {drill.about}. Mending it by {drill.section!r}.")
    else:
        print("Records are published all the time. Ctrl-C stops the drill.")
    sys.stdout.flush()


async def _wait_for(
    system: System, condition: Callable[[View], bool], publishing: asyncio.Task[None] | None = None
) -> None:
    while True:
        if publishing is not None and publishing.done():
            publishing.result()
        if condition(await system.look()):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _is_well(view: View) -> bool:
    return view.is_healthy and view.dead_letters == 0 and view.backlog.oldest_unacked_message_age < 1


async def _all_stored(system: System, trickle: Trickle, publishing: asyncio.Task[None]) -> None:
    """Wait until everything that was published by some moment is in the feed, or is lost; then stop publishing."""
    missed: set[str] = set()
    while True:
        published = list(trickle.published[:-1])
        stored = await system.stored_ids()
        missing = set(published) - set(stored or ())
        if stored is not None and not missing:
            break
        view = await system.look()
        # Twice, because a record may be stored between the two looks. Rejects wait for their replay.
        is_settled = _is_well(view) and not view.backlog.num_undelivered_messages and not view.rejects
        if view.backlog.expired_message_count or missing & missed:
            break
        missed = missing if is_settled and stored is not None else set()
        await asyncio.sleep(_LOOK_EVERY_S)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    await _wait_for(system, lambda view: not view.backlog.num_undelivered_messages)


async def _verdict(system: System, trickle: Trickle, drill: Drill, outage_s: float) -> int:
    missing, extra = compare(trickle.published, await system.stored_ids() or ())
    expired = (await system.look()).backlog.expired_message_count
    print(f"It was: {drill.about}. Run-book: {drill.section!r}. Mended after {outage_s:.1f} s.")
    if missing or extra or expired:
        print(f"missing {missing}, repeated or unknown {extra}; expired {expired}")
        return _FAILED
    print(f"All {len(trickle.published)} published records are in the feed exactly once.")
    return _MENDED
