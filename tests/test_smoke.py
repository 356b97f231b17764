"""`sluice smoke`, against real processes that work."""

import re
from pathlib import Path

from sluice.testing import tokens
from tests.smoking import smoke
from tests.support.process import serving

READER = "reader@project.iam.gserviceaccount.com"
GUARDED = {"api_principals": READER}


async def test_a_record_goes_through_a_service_that_is_open(tmp_path: Path) -> None:
    """Every step passes, the report says so, and a second run collides with nothing."""
    async with serving(tmp_path / "store.duckdb") as (running, client):
        ended = await smoke("--url", running.url)
        assert ended.status == 0, ended.out + ended.said
        assert re.findall(r"^  (\S+)  ", ended.out, re.MULTILINE) == ["ok"] * 5
        assert "Exclude such records by their id, which begins with smoke-." in ended.out
        again = await smoke("--url", running.url, "--json")
        assert (again.status, again.report["passed"]) == (0, True)
        assert again.report["visible_s"] < again.report["within_s"] == 60
        rows = (await client.get("/v1/records")).json()["records"]
        assert len({row["id"] for row in rows}) == len(rows) == 2
        assert rows[1]["delivery_key"] == again.report["delivery_key"]


async def test_a_guarded_service_wants_a_token_and_none_is_printed(tmp_path: Path) -> None:
    """By option and by the environment; without one, or with a foreign one, the report says what the service does."""
    good = tokens.token(email=READER)
    async with serving(tmp_path / "store.duckdb", **GUARDED) as (running, _):
        url = ("--url", running.url, "--json")
        for arguments, environment in (
            (("--token", good), {}),
            ((), {"SMOKE_TOKEN": good}),
        ):
            ended = await smoke(*url, *arguments, **environment)
            assert ended.status == 0, ended.out
            assert good not in ended.out + ended.said
        nobody = await smoke(*url)
        assert nobody.status == 1
        assert "the request has no Authorization header" in nobody.step("schema")
        foreign = tokens.token(email=READER, aud="other")
        wrong = await smoke(*url, "--token", foreign)
        assert "401" in wrong.step("schema")
        assert "audience" in wrong.step("schema")
        assert foreign not in wrong.out + wrong.said
        unlisted = await smoke(*url, "--token", tokens.token(email="who@example.com"))
        assert "403" in unlisted.step("schema")
