"""Two instances with one Valkey: they share answers and the count of requests."""

from app.runtime.valkey import connect
from sluice.testing.service import GOOD, SETTINGS, running
from tests.valkey_server import SECRET, ValkeyServer, hurried_valkey, valkey_server  # noqa: F401 - fixtures

WINDOW = "/v1/records?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z"


async def test_an_answer_that_never_changes_is_given_by_every_instance(valkey_server: ValkeyServer) -> None:  # noqa: F811 - the fixture
    """The second instance does not ask its store; what is still open is each one's own."""
    settings = SETTINGS.replace(cache_url=valkey_server.url, cache_secret=SECRET)
    async with running(settings) as one, running(settings) as other:
        first, second = await one.client.get(WINDOW), await other.client.get(WINDOW)
        assert (first.headers["sluice-cache"], second.headers["sluice-cache"]) == ("miss", "hit")
        assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
        await one.client.post("/v1/records", json=GOOD)
        records = [(await each.client.get("/v1/records?limit=5")).json()["records"] for each in (one, other)]
        assert [len(found) for found in records] == [1, 0], "each has a store of its own here"


async def test_an_erased_record_is_not_left_in_valkey(valkey_server: ValkeyServer) -> None:  # noqa: F811 - the fixture
    """What is kept there cannot be read, and after the erasure nobody decrypts it again."""
    settings = SETTINGS.replace(cache_url=valkey_server.url, cache_secret=SECRET)
    async with running(settings) as service, connect(valkey_server.url) as client:
        await service.client.post("/v1/records", json=GOOD | {"id": "order-1042"})
        answers = [await service.client.get("/v1/records") for _ in range(2)]
        assert [answer.headers["sluice-cache"] for answer in answers] == ["miss", "hit"]
        (kept,) = [await client.get(name) async for name in client.scan_iter("sluice:*") if b":requests:" not in name]
        assert b"order-1042" in answers[0].content
        assert b"order-1042" not in kept
        assert (await service.client.delete("/v1/records/order-1042")).status_code == 200
        after = await service.client.get("/v1/records")
        assert (after.headers["sluice-cache"], after.json()["records"]) == ("miss", [])
