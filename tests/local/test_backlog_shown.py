"""A local service tells what waits in the local Pub/Sub, as the page shows it."""

import re
from pathlib import Path
from typing import Any

import httpx

from sluice.testing.pace import patience_s
from tests.local.test_keep_serving import running_up
from tests.support.process import free_port


async def test_what_waits_in_the_local_pubsub_is_told(tmp_path: Path) -> None:
    """Pushes that arrive nowhere are counted, with the age of the oldest; once they arrive, nothing waits."""
    async with running_up(tmp_path) as up:
        await up.until("Ctrl-C stops everything")
        (control,) = re.findall(r"backlog +(http://\S+)/subscriptions", up.said)
        async with httpx.AsyncClient(base_url=control, timeout=patience_s(30)) as switch:
            subscriptions = (await switch.get("/subscriptions")).json()["subscriptions"]
            (pushed,) = (each for each in subscriptions if each["is_push"])

            async def push_to(url: str) -> None:
                body = {"subscription": {"pushConfig": {"pushEndpoint": url}}, "updateMask": "pushConfig"}
                (await switch.patch(f"/v1/{pushed['subscription']}", json=body)).raise_for_status()

            await push_to(f"http://127.0.0.1:{free_port()}/")
            for number in range(2):
                await up.publish(number)
            found = await told(up.url, messages=2)
            assert found["subscriptions"][0]["name"] == "events-push"
            assert found["error"] is None
            await push_to(pushed["push_endpoint"])
            emptied = await told(up.url, messages=0)
            assert emptied["at"] > found["at"]
            assert emptied["subscriptions"][0]["oldest_s"] == 0


async def told(url: str, *, messages: int) -> dict[str, Any]:
    """Return what the service tells once so many messages wait."""
    async with httpx.AsyncClient(base_url=url, timeout=patience_s(30)) as client:
        for _ in range(20_000):
            found: dict[str, Any] = (await client.get("/health/ready")).json()["backlog"]
            if found["at"] and sum(each["messages"] for each in found["subscriptions"]) == messages:
                return found
    raise AssertionError(found)
