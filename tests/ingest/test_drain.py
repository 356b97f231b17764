"""Shutting down: what was admitted is answered with the truth, within the grace."""

import asyncio

import pytest

from app.stores.sink import Stored
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD
from tests.ingest.scripted import reply_later, turns
from tests.ingest.sinks import scripted


async def test_drain_waits_until_every_message_is_answered() -> None:
    """A message between its stages (its reject stored, its record not yet) is seen through to the end."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        reject_stored, record_stored = reply_later(), reply_later()
        sinks.rejects.replies.append(reject_stored)
        sinks.records.replies.append(record_stored)
        pushing = asyncio.ensure_future(service.push(GOOD, {"id": 7}))
        await turns()
        draining = asyncio.ensure_future(service.app.instance.drain(8.0))
        await turns()
        assert (await service.push(GOOD, message_id="2")).status_code == 503
        reject_stored.set_result(Stored())
        await turns()
        assert not draining.done()
        record_stored.set_result(Stored())
        await clock.advance(0.1)
        await draining
        assert (await pushing).status_code == 204


@pytest.mark.parametrize("stage", ["records", "rejects"])
async def test_drain_gives_up_after_its_grace(stage: str) -> None:
    """Whatever hangs, the grace is spent once, and the message is to be delivered again."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        getattr(sinks, stage).replies.append(reply_later())
        pushing = asyncio.ensure_future(service.push(GOOD, {"id": 7}))
        await turns()
        draining = asyncio.ensure_future(service.app.instance.drain(8.0))
        await clock.advance(7.9)
        assert not draining.done()
        await clock.advance(0.2)
        await draining
        assert (await pushing).status_code == 503
