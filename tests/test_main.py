"""The composition: the short way of pushes, readiness, and whose tokens are good for what."""

import httpx
import msgspec
import pytest

from app.auth.key_set import FetchedKeys, KeySetError
from app.main import create_app
from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running


@pytest.mark.parametrize("headers", [{}, authorization(), authorization(email="other@else.example")])
@pytest.mark.parametrize("body", [envelope(msgspec.json.encode(GOOD)), b"{}"])
async def test_the_route_of_the_framework_answers_as_the_short_way(headers: dict[str, str], body: bytes) -> None:
    """Mounted in another application, pushes reach the same endpoint through Litestar's own routing."""
    async with running() as service:
        short = await service.client.post("/pubsub/push", content=body, headers=headers)
        transport = httpx.ASGITransport(app=service.app.litestar)  # type: ignore[arg-type] # Litestar's types are narrower than ASGI's
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            long = await client.post("/pubsub/push", content=body, headers=headers)
        assert long.status_code == short.status_code
        assert long.content == short.content
        assert long.headers.get("content-type") == short.headers.get("content-type")
        assert long.headers.get("www-authenticate") == short.headers.get("www-authenticate")


async def test_ready_needs_a_key_set() -> None:
    """Without keys no push can be verified, so the instance is not ready; with them it is."""

    async def no_keys() -> FetchedKeys:
        raise KeySetError("the issuer is away")

    app = create_app(SETTINGS, fetch_keys=no_keys)
    transport = httpx.ASGITransport(app=app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "starting")
        answer = await client.post("/pubsub/push", content=envelope(b"{}"), headers=authorization())
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    async with running() as service:
        await service.push(GOOD)
        answer = await service.started()
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        assert set(answer.json()["sinks"]) == {"records", "records_rejected"}


async def test_with_principals_the_api_wants_their_tokens_and_pushers_may_only_push() -> None:
    """The two lists are apart: each token is good for its own side."""
    settings = SETTINGS.replace(api_principals=("reader@example.com",))
    async with running(settings) as service:
        assert (await service.client.get("/v1/records")).status_code == 401
        pusher = await service.client.get("/v1/records", headers=authorization())
        assert (pusher.status_code, pusher.json()["code"]) == (403, "forbidden")
        reader = authorization(email="reader@example.com")
        assert (await service.client.get("/v1/records", headers=reader)).status_code == 200
        assert (await service.client.post("/v1/records", json=GOOD, headers=reader)).status_code == 201
        pushed = await service.client.post("/pubsub/push", content=envelope(b"{}"), headers=reader)
        assert pushed.status_code == 403
