"""Call the service in a container, with BASE_URL and API_KEY in the environment: `python -m tests.image.talk full`."""

import os
import sys
from typing import Any

import httpx

ID = "made-by-make-image"


def talk(client: httpx.Client, key: str, *, stores: bool) -> None:
    """Call what is served from files and, where the image has a store of its own, store a record and read it back.

    Raises:
        AssertionError: an answer is not as it should be.
    """
    _expect(client.get("/", headers={"Accept": "text/html"}), 200, "text/html")
    _expect(client.get("/docs"), 200, "text/html")
    _expect(client.get("/v1/problems"), 401, "application/problem+json")
    client.headers["Authorization"] = f"Bearer {key}"
    _expect(client.get("/v1/schema"), 200, "application/json")
    if stores:
        record = {"id": ID, "timestamp": "2026-01-31T12:00:00Z", "data": {"n": 1}}
        _expect(client.post("/v1/records", json=record), 201, "application/json")
        found: dict[str, Any] = _expect(client.get(f"/v1/records/{ID}"), 200, "application/json").json()
        if found.get("data") != {"n": 1}:
            raise AssertionError(f"the record came back as {found}")


def _expect(answer: httpx.Response, status: int, media_type: str) -> httpx.Response:
    found = answer.headers.get("content-type", "")
    if answer.status_code != status or not found.startswith(media_type):
        raise AssertionError(f"{answer.request.url} answered {answer.status_code} {found}: {answer.text[:500]}")
    return answer


if __name__ == "__main__":
    with httpx.Client(base_url=os.environ["BASE_URL"], timeout=10) as caller:
        talk(caller, os.environ["API_KEY"], stores=sys.argv[1] == "full")
