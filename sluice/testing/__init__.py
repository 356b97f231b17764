"""Doubles of what surrounds the service: the tests, the benchmarks and tests of your own record type import them.

    from sluice.testing.clock import FakeClock
    from sluice.testing.service import SETTINGS, running

    async def test_an_order_is_served() -> None:
        settings = SETTINGS.replace(record="orders:Order")
        async with running(settings, FakeClock()) as service:
            assert (await service.push({"id": "a", "timestamp": "2026-01-31T12:00:00Z"})).status_code == 204
            assert (await service.client.get("/v1/records")).json()["records"][0]["id"] == "a"

the service     service         the application in the loop of the test, and pushes to it
what is around  clock           FakeClock: time passes when the test says so
                tokens          an issuer: its keys, and signed tokens with any claims
                null_store      an Appender that acknowledges and keeps nothing
                misbehaving     a BigQueryWrite server that fails as a script says
how long        pace            time limits that grow on a slow machine

`app/` imports none of it, and it is not in the image. docs/testing.md shows more.
"""
