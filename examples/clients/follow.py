"""Follow the feed for ever: every record once in a SQLite file, over crashes, restarts and outages.

Install httpx, then: python follow.py http://127.0.0.1:8080 records.sqlite
"""

import json
import os
import random
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

import httpx

START = "-PT1H"  # where to begin when the file is new


def next_page(client: httpx.Client, position: dict[str, str]) -> dict[str, Any]:
    """Return the page at a position, however often it takes to ask."""
    bound_s = 1.0
    while True:
        retry_after_s = 0.0
        try:
            answer = client.get("/v1/records", params=position | {"limit": "1000", "wait": "20"})
            if answer.status_code < 500 and answer.status_code not in {408, 429}:
                answer.raise_for_status()
                page: dict[str, Any] = answer.json()
                return page
            reason, retry_after_s = f"status {answer.status_code}", float(answer.headers.get("Retry-After", 0))
        except httpx.TransportError as error:
            reason = str(error)
        pause_s = retry_after_s + random.uniform(0, bound_s)
        print(f"asking again in {pause_s:.1f} s: {reason}", file=sys.stderr, flush=True)
        time.sleep(pause_s)
        bound_s = min(2 * bound_s, 60)


def follow(client: httpx.Client, store: sqlite3.Connection) -> None:
    """Store page after page: after a crash a page and the cursor behind it are both in the file, or neither is."""
    store.execute("CREATE TABLE IF NOT EXISTS records (delivery_key TEXT PRIMARY KEY, record TEXT)")
    store.execute("CREATE TABLE IF NOT EXISTS position (cursor TEXT)")
    row = store.execute("SELECT cursor FROM position").fetchone()
    position = {"cursor": row[0]} if row else {"since": START}
    while True:
        page = next_page(client, position)
        rows = [(record["delivery_key"], json.dumps(record)) for record in page["records"]]
        position = {"cursor": page["resume_cursor"]}
        with store:  # one transaction
            store.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", rows)
            store.execute("DELETE FROM position")
            store.execute("INSERT INTO position VALUES (:cursor)", position)
        print(f"{len(rows)} records, up to {page['window']['until']}", flush=True)
        time.sleep(page["poll_after"])


def main(url: str, path: str) -> None:
    """Follow until the program is stopped."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client, closing(sqlite3.connect(path)) as store:
        follow(client, store)


if __name__ == "__main__":
    main(*sys.argv[1:])
