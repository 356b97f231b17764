"""What callers are told of failures nobody expected, whichever layer they come from: nothing."""

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import HTTPException, InternalServerException, NotFoundException
from litestar.params import FromQuery

from app.http.problems import CATALOGUE, EXCEPTION_HANDLERS, MEDIA_TYPE
from sluice.testing.service import running

_SECRET = "password of the database"
_RAISED: dict[str, Exception] = {
    "not_found": NotFoundException(),
    "teapot": HTTPException("no coffee", status_code=418),
    "defect": ValueError(_SECRET),
    "framework": InternalServerException(_SECRET),
    "group": ExceptionGroup(_SECRET, [KeyError(_SECRET)]),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application that raises what the path says."""

    @get("/raise", sync_to_thread=False)
    def fail(name: FromQuery[str]) -> None:
        raise _RAISED[name]

    app = Litestar([fail], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


@pytest.mark.parametrize("name", ["defect", "framework", "group"])
async def test_an_unexpected_failure_tells_nothing(
    client: httpx.AsyncClient, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 has no word of the exception's message and no line of its traceback, be it the framework's own."""
    answer = await client.get("/raise", params={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.json()["detail"] == CATALOGUE["internal"].advice
    assert _SECRET not in answer.text + str(answer.headers)
    assert "Traceback" not in answer.text
    [record] = [record for record in caplog.records if record.name == "sluice.errors"]
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is _RAISED[name]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/raise?name=not_found", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/raise?name=defect", 405, "method_not_allowed"),
        ("GET", "/raise?name=teapot", 400, "invalid_parameter"),
        ("GET", "/raise", 400, "invalid_parameter"),
    ],
)
async def test_the_frameworks_refusals_keep_their_headers(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """The framework's own 4xx are problems of the catalogue, and a 405 still says what is allowed."""
    answer = await client.request(method, path)
    assert answer.headers["content-type"] == MEDIA_TYPE
    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["detail"]
    assert ("allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/recrods/stats", "there is no path '/v1/recrods/stats'; near it: /v1/records/stats"),
        ("/zzzz", "there is no path '/zzzz'; /docs describes those there are"),
    ],
)
async def test_an_unknown_path_leads_to_the_near_ones(path: str, said: str) -> None:
    """Those that are written nearly alike, or where they are described."""
    async with running() as service:
        answer = await service.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.json()["detail"].startswith(said)
