"""The whole application with grants: who is let in, and for what."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from app.auth.grants import SCOPES, Scope
from app.auth.grants_file import LOOK_EVERY_S
from app.http import paths
from app.main import create_app
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running
from tests.auth.callers import (
    KEY,
    OTHER_KEY,
    READER,
    bearing,
    document,
    email_grant,
    granting,
    key_grant,
    read,
    signed_in,
    write,
)

FREE = {paths.PROBLEMS, "/v1/schema"}
"""What any caller may read."""


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    return answer.status_code, answer.json()["code"]


ASKED: list[tuple[Scope, str, str, int]] = [
    ("read", "GET", paths.RECORDS, 200),
    ("read", "HEAD", paths.RECORDS, 200),
    ("read", "GET", f"{paths.RECORDS}/a", 200),
    ("read", "GET", f"{paths.RECORDS}/a/b", 404),
    ("rejects", "GET", paths.REJECTS, 200),
    ("rejects", "GET", f"{paths.REJECTS}/stats", 200),
    ("metrics", "GET", paths.METRICS, 200),
    ("metrics", "HEAD", paths.METRICS, 200),
    ("write", "POST", paths.RECORDS, 201),
    ("write", "PUT", f"{paths.RECORDS}/a/b", 422),
    ("erase", "DELETE", f"{paths.RECORDS}/a", 200),
    ("erase", "DELETE", f"{paths.RECORDS}/a/b", 200),
]


async def test_each_scope_opens_its_own(tmp_path: Path) -> None:
    """With all the others the answer is 403, which says which one is needed and which ones there are."""
    without = {scope: [other for other in SCOPES if other != scope] for scope in SCOPES}
    grants = [key_grant(f"sluice_{scope:-<43}", name=f"has-{scope}", scopes=[scope]) for scope in SCOPES]
    grants += [key_grant(f"sluice_{scope:_<43}", name=f"lacks-{scope}", scopes=without[scope]) for scope in SCOPES]
    async with running(granting(tmp_path, *grants)) as service:
        await service.push(GOOD)
        for scope, method, path, status in ASKED:
            headers = bearing(f"sluice_{scope:-<43}")
            answer = await service.client.request(method, path, json=GOOD, headers=headers)
            assert answer.status_code == status, (scope, path)
            headers = bearing(f"sluice_{scope:_<43}")
            answer = await service.client.request(method, path, json=GOOD, headers=headers)
            assert answer.status_code == 403
            assert answer.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
            if method != "HEAD":
                told = answer.json()
                found = (told["code"], told["needed"], told["scopes"])
                assert found == ("insufficient_scope", scope, sorted(without[scope]))


def routes() -> list[tuple[str, Any]]:
    """Return the path and handler of everything under /v1, and of the metrics."""
    found = []
    for route in create_app(SETTINGS, fetch_keys=tokens.fetch_keys).litestar.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(("/v1", paths.METRICS)):
            methods = {method: entry[0] for method, entry in route.route_handler_map.items() if method != "OPTIONS"}
            found += [(f"{method} {route.path}", handler) for method, handler in methods.items()]
    return found


async def test_every_route_of_v1_names_its_scope() -> None:
    """Only the catalogue of problems and the schema are for every caller; a new route cannot be forgotten."""
    found = routes()
    assert len(found) >= 10
    nameless = {where for where, handler in found if handler.opt.get("scope") is None}
    assert {where.partition(" ")[2] for where in nameless} <= FREE
    assert {handler.opt["scope"] for _, handler in found if handler.opt.get("scope")} == set(SCOPES)


UNKNOWN = [OTHER_KEY, KEY[:-1], f"{KEY}k", KEY.upper(), "sluice_", f"sluice_{'é' * 43}"]


async def test_a_key_that_was_not_given_out_is_401_and_told_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log has a byte of it, be it unknown, cut, longer, in capitals, empty or not ASCII."""
    async with running(granting(tmp_path, key_grant())) as service:
        with caplog.at_level(logging.DEBUG, logger="sluice"):
            for key in UNKNOWN:
                headers = [(b"Authorization", b"Bearer " + key.encode())]
                answer = await service.client.get(paths.RECORDS, headers=headers)
                assert answer.status_code == 401
                assert answer.json()["code"] == ("invalid_token" if key.isascii() else "missing_token")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                told = answer.text + repr(answer.headers) + caplog.text
                assert key[7:19] not in told or len(key) < 20


async def test_a_key_pushes_nothing(tmp_path: Path) -> None:
    """Pushes want a push principal's token, whatever a key may do on /v1; and such a token opens no /v1."""
    async with running(granting(tmp_path, key_grant(scopes=list(SCOPES)))) as service:
        pushed = await service.client.post(paths.PUSH, content=envelope(b"{}"), headers=bearing())
        assert problem(pushed) == (401, "invalid_token")
        assert problem(await read(service, authorization())) == (403, "forbidden")


async def test_a_grant_ends_when_it_says(tmp_path: Path) -> None:
    """To the microsecond; the answer says when it ended."""
    clock = FakeClock()
    ends = {"expires": "2023-11-14T22:14:00Z"}  # the clock begins 40 s before
    settings = granting(tmp_path, key_grant(**ends), email_grant(**ends))
    async with running(settings, clock) as service:
        for headers in (bearing(), signed_in()):
            assert (await read(service, headers)).status_code == 200
        await clock.advance(40)
        key, email = await read(service, bearing()), await read(service, signed_in())
        assert (problem(key), problem(email)) == ((401, "invalid_token"), (403, "forbidden"))
        assert "the API key of partner-a expired at 2023-11-14T22:14:00Z" in key.json()["detail"]
        assert f"the grant of {READER} expired at 2023-11-14T22:14:00Z" in email.json()["detail"]


@pytest.mark.parametrize("headers", [signed_in(), bearing()], ids=["token", "key"])
async def test_a_grant_that_is_taken_out_of_the_file_is_gone_without_a_restart(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """For tokens too that were verified before and are remembered."""
    clock = FakeClock()
    settings = granting(tmp_path, email_grant(), key_grant())
    async with running(settings, clock) as service:
        assert (await read(service, headers)).status_code == 200
        write(Path(settings.auth.grants_file), document())
        async with asyncio.timeout(patience_s(60)):
            while (answer := await read(service, headers)).status_code == 200:
                await clock.advance(LOOK_EVERY_S)
        assert answer.status_code in {401, 403}
        write(Path(settings.auth.grants_file), document(email_grant(), key_grant()))
        async with asyncio.timeout(patience_s(60)):
            while (await read(service, headers)).status_code != 200:
                await clock.advance(LOOK_EVERY_S)


async def test_a_file_without_grants_lets_nobody_in(tmp_path: Path) -> None:
    """It does not open /v1, on loopback neither."""
    async with running(granting(tmp_path)) as service:
        assert problem(await read(service)) == (401, "missing_token")
        assert problem(await read(service, bearing())) == (401, "invalid_token")


async def test_an_idempotency_key_is_the_callers_own(tmp_path: Path) -> None:
    """Two callers with the same key in mind are two deliveries; one caller's repetition is one."""
    grants = (key_grant(key, name=name, scopes=["write"]) for key, name in ((KEY, "one"), (OTHER_KEY, "other")))
    async with running(granting(tmp_path, *grants)) as service:
        keys = []
        for key in (KEY, KEY, OTHER_KEY):
            headers = {**bearing(key), "Idempotency-Key": "order-1"}
            answer = await service.client.post(paths.RECORDS, json=GOOD, headers=headers)
            keys.append(answer.json()["records"][0]["delivery_key"])
        assert keys[0] == keys[1] != keys[2]
