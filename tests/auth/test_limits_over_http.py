"""The whole application with limits: how often a caller may read, and how it is told."""

from pathlib import Path

import pytest

from app.http import paths
from app.settings.fields import MIB
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, running
from tests.auth.callers import OTHER_KEY, OWNER, bearing, granting, key_grant, read, signed_in
from tests.telemetry.scripted_runner import metered
from tests.valkey_server import SECRET, ValkeyServer, hurried_valkey, valkey_server

__all__ = ["hurried_valkey", "valkey_server"]


async def test_every_answer_to_a_read_says_what_is_left(tmp_path: Path) -> None:
    """Problems too; what is refused is counted as well. The clock begins 20 s into a minute."""
    settings = granting(tmp_path, key_grant(requests_per_minute=6))
    async with running(settings) as service:
        answers = [
            await read(service, bearing()),
            await service.client.head(paths.RECORDS, headers=bearing()),
            await service.client.get(f"{paths.RECORDS}?limit=none", headers=bearing()),
            await service.client.get(f"{paths.RECORDS}/unknown", headers=bearing()),
            await service.client.get(paths.REJECTS, headers=bearing()),
            await service.client.get(f"{paths.RECORDS}/a", headers=bearing()),
            await read(service, bearing()),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 400, 404, 403, 404, 429]
        left = [answer.headers["RateLimit"] for answer in answers]
        assert left == [f'"default";r={number};t=40' for number in (5, 4, 3, 2, 1, 0, 0)]
        assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"default";q=6;w=60'}
        told = answers[-1].json()
        assert (told["code"], told["limit"], told["window_s"], told["retry_after_s"]) == ("rate_limited", 6, 60, 40)
        assert answers[-1].headers["Retry-After"] == "40"
        assert isinstance(service.clock, FakeClock)
        await service.clock.advance(40)
        assert (await read(service, bearing())).headers["RateLimit"] == '"default";r=5;t=60'


async def test_writes_and_strangers_are_not_counted(tmp_path: Path) -> None:
    """How much is written is for admission to say; a stranger has no count to be told of."""
    settings = granting(tmp_path, key_grant(scopes=["read", "write"], requests_per_minute=1))
    async with running(settings) as service:
        for _ in range(3):
            answer = await service.client.post(paths.RECORDS, json=GOOD, headers=bearing())
            assert answer.status_code == 201
            assert "RateLimit" not in answer.headers
        assert "RateLimit" not in (await read(service)).headers
        assert (await read(service, bearing())).status_code == 200
        assert (await read(service, bearing())).status_code == 429


async def test_the_setting_limits_those_who_have_no_limit_of_their_own(tmp_path: Path) -> None:
    """A grant may lift it with 0."""
    grants = key_grant(), key_grant(OTHER_KEY, name="unlimited", requests_per_minute=0)
    settings = granting(tmp_path, *grants, api_principals=(OWNER,), requests_per_minute=1)
    async with running(settings) as service:
        for headers, second in ((bearing(), 429), (signed_in(OWNER), 429), (bearing(OTHER_KEY), 200)):
            assert (await read(service, headers)).status_code == 200
            assert (await read(service, headers)).status_code == second
        assert "RateLimit" not in (await read(service, bearing(OTHER_KEY))).headers


async def test_unread_documents_are_limited_by_address() -> None:
    """Requests a minute bound what lies unread; probes and the API are not concerned."""
    async with running(SETTINGS.replace(requests_per_minute=5)) as service:
        statuses = [(await service.client.get("/openapi/openapi.json")).status_code for _ in range(6)]
        assert statuses == [*[200] * 5, 429]
        assert {(await service.client.get("/health/live")).status_code for _ in range(6)} == {200}
        assert (await read(service)).status_code == 200


async def test_instances_with_one_valkey_count_together(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    """A caller has its limit once, not once for each instance; without Valkey it goes on, for each instance."""
    settings = granting(tmp_path, key_grant(requests_per_minute=3), cache_url=valkey_server.url, cache_secret=SECRET)
    async with running(settings) as one, running(settings) as other:
        statuses = [(await read(service, bearing())).status_code for service in (one, other, one, other)]
        assert statuses == [200, 200, 200, 429]
        valkey_server.stop()
        answer = await read(one, bearing())
        assert (answer.status_code, answer.headers["RateLimit"]) == (200, '"default";r=2;t=40')


async def test_reads_of_a_caller_whose_budget_is_used_up_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it reads, until the day is over; others, writes and the list of problems go on."""
    metered(monkeypatch, 60 * MIB, {})
    grants = key_grant(scopes=["read", "write"], requests_per_minute=9), key_grant(OTHER_KEY, name="other")
    async with running(granting(tmp_path, *grants, bytes_billed_per_day=200 * MIB)) as service:
        stats = f"{paths.RECORDS}/stats?since=-PT"  # one query each
        answers = [await service.client.get(f"{stats}{hours}H", headers=bearing()) for hours in (1, 2, 3, 4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        told = answers[-1].json()
        assert (told["code"], told["used_bytes"], told["limit_bytes"]) == ("byte_budget_used_up", 180 * MIB, 150 * MIB)
        assert int(answers[-1].headers["Retry-After"]) == told["retry_after_s"]
        assert (await service.client.get(f"{stats}6H", headers=bearing(OTHER_KEY))).status_code == 200
        assert (await service.client.post(paths.RECORDS, json=GOOD, headers=bearing())).status_code == 201
        assert (await service.client.get(paths.PROBLEMS, headers=bearing())).status_code == 200
        assert isinstance(service.clock, FakeClock)
        await service.clock.advance(told["retry_after_s"])
        assert (await service.client.get(f"{stats}5H", headers=bearing())).status_code == 200
