"""The local Pub/Sub over REST: plain HTTP, and the real `gcloud` where it is installed."""

import asyncio
import os
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from sluice.local.pubsub.broker import Broker
from tests.local.conftest import SUBSCRIPTION, TOPIC


@pytest.fixture
async def http(rest_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the REST API."""
    async with aiohttp.ClientSession(rest_url) as session:
        yield session


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and decoded body."""
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def test_publish_pull_acknowledge(http: aiohttp.ClientSession, live_broker: Broker) -> None:
    """The whole life of a message over REST, in Google's JSON."""
    assert await call(http, "PUT", f"v1/{TOPIC}") == (200, {"name": TOPIC})
    status, made = await call(http, "PUT", f"v1/{SUBSCRIPTION}", {"topic": TOPIC, "ackDeadlineSeconds": 30})
    assert (status, made["name"], made["topic"], made["ackDeadlineSeconds"]) == (200, SUBSCRIPTION, TOPIC, 30)
    message = {"data": b64encode(b"hello").decode(), "attributes": {"source": "test"}, "orderingKey": "k"}
    status, published = await call(http, "POST", f"v1/{TOPIC}:publish", {"messages": [message]})
    assert status == 200
    status, pulled = await call(http, "POST", f"v1/{SUBSCRIPTION}:pull", {"maxMessages": 10})
    (received,) = pulled["receivedMessages"]
    assert received["message"].items() >= (message | {"messageId": published["messageIds"][0]}).items()
    assert received["message"]["publishTime"].endswith("Z")
    ack_ids = {"ackIds": [received["ackId"]]}
    assert await call(http, "POST", f"v1/{SUBSCRIPTION}:modifyAckDeadline", ack_ids | {"ackDeadlineSeconds": 60}) == (
        200,
        {},
    )
    assert await call(http, "POST", f"v1/{SUBSCRIPTION}:acknowledge", ack_ids) == (200, {})
    assert live_broker.subscription(SUBSCRIPTION).backlog == 0
    assert await call(http, "POST", f"v1/{SUBSCRIPTION}:pull", {"maxMessages": 1, "returnImmediately": True}) == (
        200,
        {},
    )


async def test_listing_and_deleting(http: aiohttp.ClientSession) -> None:
    """A list is one page; what is deleted is gone."""
    project = TOPIC.split("/topics/", maxsplit=1)[0]
    for letter in "abc":
        await call(http, "PUT", f"v1/{TOPIC}-{letter}")
    await call(http, "PUT", f"v1/{SUBSCRIPTION}", {"topic": f"{TOPIC}-a"})
    _, listed = await call(http, "GET", f"v1/{project}/topics?pageSize=2")
    assert listed == {"topics": [{"name": f"{TOPIC}-{letter}"} for letter in "abc"]}
    assert (await call(http, "GET", f"v1/{TOPIC}-a/subscriptions"))[1] == {"subscriptions": [SUBSCRIPTION]}
    assert (await call(http, "GET", f"v1/{project}/subscriptions"))[1]["subscriptions"][0]["name"] == SUBSCRIPTION
    assert await call(http, "DELETE", f"v1/{SUBSCRIPTION}") == (200, {})
    assert await call(http, "DELETE", f"v1/{TOPIC}-a") == (200, {})
    assert (await call(http, "GET", f"v1/{TOPIC}-a"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "status", "message"),
    [
        ("POST", f"v1/{TOPIC}:publish", {"messages": [{"data": "eA=="}]}, 404, "NOT_FOUND", "does not exist"),
        ("PUT", "v1/projects/sluice-local/topics/x", None, 400, "INVALID_ARGUMENT", "3-255 letters"),
        ("POST", f"v1/{TOPIC}:publish", {"mesages": []}, 400, "INVALID_ARGUMENT", 'no field named "mesages"'),
        ("POST", f"v1/{TOPIC}:publish", [1], 400, "INVALID_ARGUMENT", "not a JSON object"),
        ("PUT", f"v1/{SUBSCRIPTION}", {"topic": TOPIC, "filter": "a"}, 501, "UNIMPLEMENTED", "filter"),
        ("PATCH", f"v1/{TOPIC}", {}, 501, "UNIMPLEMENTED", f"does not implement PATCH /v1/{TOPIC}"),
        ("POST", f"v1/{SUBSCRIPTION}:seek", {}, 501, "UNIMPLEMENTED", "does not implement POST"),
    ],
)
async def test_refusals_are_google_s_error_objects(  # noqa: PLR0917 - a row of the table
    http: aiohttp.ClientSession, method: str, path: str, body: Any, code: int, status: str, message: str
) -> None:
    """Errors carry code, status and a text that says what was wrong."""
    answered, answer = await call(http, method, path, body)
    assert (answered, answer["error"]["code"], answer["error"]["status"]) == (code, code, status)
    assert message in answer["error"]["message"]


async def test_a_body_that_is_no_json_is_refused(http: aiohttp.ClientSession) -> None:
    """Broken JSON is a 400 that says so."""
    async with http.post(f"v1/{TOPIC}:publish", data=b'{"messages": [') as response:
        assert (response.status, (await response.json())["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.skipif(
    shutil.which("gcloud") is None,
    reason="gcloud is NOT installed: that `gcloud pubsub` works against the local Pub/Sub stays untested here",
)
async def test_gcloud_creates_publishes_lists_and_pulls(rest_url: str, live_broker: Broker, tmp_path: Path) -> None:
    """The real gcloud makes a topic and a subscription, publishes, and pulls the message back."""
    environment = os.environ | {
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": rest_url,
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "sluice-local",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }

    async def gcloud(*arguments: str) -> Any:
        process = await asyncio.create_subprocess_exec(
            *("gcloud", "pubsub", *arguments, "--format=json"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return msgspec.json.decode(out)

    await gcloud("topics", "create", "events")
    await gcloud("subscriptions", "create", "events-pull", "--topic=events", "--ack-deadline=20")
    await gcloud("topics", "publish", "events", "--message=hello", "--attribute=source=gcloud")
    topics, subscriptions, pulled = await asyncio.gather(
        gcloud("topics", "list"),
        gcloud("subscriptions", "list"),
        gcloud("subscriptions", "pull", "events-pull", "--auto-ack"),
    )
    assert [topic["name"] for topic in topics] == [TOPIC]
    assert [found["ackDeadlineSeconds"] for found in subscriptions] == [20]
    assert [received["message"]["attributes"] for received in pulled] == [{"source": "gcloud"}]
    assert live_broker.subscription(SUBSCRIPTION).backlog == 0
