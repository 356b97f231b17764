"""Walk a window: every record of a period, one line of JSON each.

Install httpx, then: python walk_window.py http://127.0.0.1:8080 2026-01-30T00:00:00Z 2026-01-31T00:00:00Z
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx

FILTERS: dict[str, str] = {}  # such as {"source": "checkout"}


def records(client: httpx.Client, since: str, until: str) -> Iterator[dict[str, Any]]:
    """Yield the records of [since, until), oldest first."""
    position = {"since": since, "until": until}
    while True:
        answer = client.get("/v1/records", params=FILTERS | position | {"limit": "1000"})
        answer.raise_for_status()
        page = answer.json()
        yield from page["records"]
        if page["next_cursor"] is None:  # the only sign of the end: a page may be short, or empty, before it
            return
        position = {"cursor": page["next_cursor"]}


def main(url: str, since: str, until: str) -> None:
    """Print the records of a window."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for record in records(client, since, until):
            print(json.dumps(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
