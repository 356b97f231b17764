"""What the page tells people while something is wrong: the truth, its age, and what is not known."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.page.outages import check_no_reassurance, intercept, problem, rule, sink
from tests.page.visits import check_quiet, fill, post, visit
from tests.support.chromium.driver import Page
from tests.support.process import serving

WELL = "document.querySelector('#state').textContent === 'Ready' && document.querySelector('#alarm').hidden"
ALARM = "document.querySelector('#alarm').innerText"


def figure(name: str) -> str:
    """Return what the tile of this name says."""
    return f"document.querySelector('[data-figure={name}]').innerText"


def ago(minutes: int) -> str:
    """Return an instant so long ago, as the service writes it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes, seconds=5)).isoformat().replace("+00:00", "Z")


async def choose(tab: Page, duration: str) -> None:
    """Choose how far to look back."""
    await tab.run(f"document.querySelector('#range input[value={duration}]').click()")


async def test_a_state_that_is_not_active_dominates_the_page(tab: Page, tmp_path: Path) -> None:
    """Whatever its name: a banner says it, since when, what it means, and where to read on; no tile reassures."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await post(client, {"id": "a"})
        await intercept(tab)
        await visit(tab, process)
        await tab.until(WELL)
        await tab.shows("[data-figure=rejected]", "none in this time")
        help_path = "docs/runbook.md#sink-state-moon_phase"
        changed = sink(state="MOON_PHASE", since=ago(3), detail="too <b>full</b>", help=help_path)
        await rule(tab, ("health/ready", changed))
        await tab.until(f"{ALARM}.includes('MOON_PHASE')")
        told = await tab.run(ALARM)
        for words in ("Writing records: MOON_PHASE", "Since ", "3 min ago", "too <b>full</b>", "Nothing that was"):
            assert words in told
        await tab.shows("#alarm code", help_path, whole=True)
        await tab.shows("#state", "MOON_PHASE", whole=True)
        assert (await tab.run("document.title")).startswith("MOON_PHASE ")
        await tab.shows("#announcement", "Writing records: MOON_PHASE", whole=True)
        await check_no_reassurance(tab)
        await tab.shows("[data-figure=rejected]", "writing is MOON_PHASE")
        await tab.shows("[data-figure=incoming]", "Writing is MOON_PHASE; last known record")
        await tab.shows("[data-figure=waiting]", "queue is not visible")
        top = "document.querySelector('#alarm').getBoundingClientRect().top"
        assert await tab.run(top) < await tab.run("document.querySelector('#figures').getBoundingClientRect().top")
        await rule(tab)
        await tab.until(f"{WELL} && document.title === 'Sluice'")
        await tab.shows("#announcement", "All is well again.", whole=True)
        check_quiet(tab, process)


async def test_what_is_not_known_yet_is_no_zero(tab: Page, tmp_path: Path) -> None:
    """After another time is chosen the tiles wait, then say why they know nothing, then show numbers."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await fill(client)
        await intercept(tab)
        await visit(tab, process)
        await tab.until(f"{WELL} && {figure('stored')}.includes('30')")
        await rule(tab, ("bucket=PT15M", '"hang"'), ("v1/rejects", '"hang"'), ("v1/records?", '"hang"'))
        await choose(tab, "P1D")
        for tile in ("stored", "delay", "rejected"):
            busy = f"document.querySelector('[data-figure={tile}]').ariaBusy"
            await tab.until(f"{busy} === 'true' && {figure(tile)}.includes('…')")
            await tab.shows(f"[data-figure={tile}]", "Counting the last 24 hours")
        await tab.shows("#rejected", "Looking for rejects")
        await tab.shows("#records", "Looking for records")
        await tab.shows("#plots", "Counting the last 24 hours")

        refused = problem(422, "The query would read too much", "query_too_expensive")
        await rule(tab, ("bucket=PT15M", refused), ("v1/rejects", refused), ("v1/records?", refused))
        await choose(tab, "PT1H")
        await tab.until(f"{figure('stored')}.includes('30')")
        await choose(tab, "P1D")
        for tile in ("stored", "delay", "rejected"):
            await tab.until(f"{figure(tile)}.includes('?')")
            await tab.shows(f"[data-figure={tile}]", "Not available: The query would read too much")
            await tab.until(f"document.querySelector('[data-figure={tile}]').ariaBusy === 'false'")
        await tab.shows("[data-trouble=overview]", "too much")
        await tab.shows("#rejected", "are not available")
        await tab.shows("#records", "are not available")
        await rule(tab)
        await choose(tab, "PT15M")
        await tab.until(f"{figure('stored')}.includes('30') && {figure('rejected')}.includes('6.3 %')")
        check_quiet(tab, process)


@pytest.mark.parametrize("what", ["hang", "gone"])
async def test_what_cannot_be_refreshed_carries_its_age(tab: Page, tmp_path: Path, what: str) -> None:
    """Also where requests hang and nothing fails: every tile says of when it is, and the page does not say Ready."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        await post(client, {"id": "a"})
        await intercept(tab)
        await visit(tab, process)
        await tab.until(f"{WELL} && document.querySelector('#freshness').textContent.startsWith('Updated')")
        await rule(tab, ("", f'"{what}"'))
        await tab.run("window.aheadMs = 125_000")
        ages = "[...document.querySelectorAll('#figures .age')]"
        await tab.until(f"{ages}.filter((each) => /As of .*, 2 min ago/.test(each.innerText)).length === 5")
        await tab.until("document.querySelector('#state').textContent !== 'Ready'")
        await check_no_reassurance(tab)
        await tab.shows("[data-trouble=instance]", "the current state is unknown")
        await tab.shows("#freshness", "2 min ago")
        await rule(tab)
        await tab.run("window.aheadMs = 0")
        await choose(tab, "PT1H")
        await tab.until(f"{ages}.slice(0, 4).every((each) => each.hidden)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of a running process")
async def test_a_full_disk_is_said_by_its_name(tab: Page, tmp_path: Path) -> None:
    """The real service, whose file may grow no more: what it calls that is what the page says, and no rate is there."""
    import resource  # noqa: PLC0415 - not everywhere

    async with serving(tmp_path / "data.duckdb") as (process, client):
        await post(client, {"id": "a"})
        await visit(tab, process)
        await tab.until(f"{WELL} && {figure('incoming')}.includes('/s')")
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        posting = asyncio.create_task(post(client, {"id": "b"}))
        await tab.until("document.querySelector('#alarm h2')?.textContent.startsWith('Writing records: ')")
        state = (await client.get("/health/ready")).json()["sinks"]["records"]["state"]
        assert state != "ACTIVE"
        await tab.until(f"document.querySelector('#state').textContent === '{state}'")
        await check_no_reassurance(tab)
        await tab.until(f"{figure('incoming')}.startsWith('Storing\\n?\\n')")
        await tab.shows("#health dd", state, whole=True)
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
