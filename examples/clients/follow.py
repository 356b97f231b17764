"""Follow the feed for ever: every record once in a SQLite file, over crashes, restarts and outages.

Install httpx, then: python follow.py http://127.0.0.1:8080 records.sqlite
"""

import json
import os
import random
import sqlite3
import sys
import time
from typing import Any

import httpx

START = "-PT1H"  # where to begin when the file is new
FILTERS: dict[str, str] = {}  # such as {"source": "checkout"}; for another filter take another file
LATER = {429, 500, 502, 503, 504}
LONGEST_PAUSE_S = 60.0


def next_page(client: httpx.Client, cursor: str | None) -> dict[str, Any]:
    """Return what comes after `cursor`; ask again for as long as the service cannot answer."""
    query = FILTERS | {"limit": "1000", "wait": "20"} | ({"cursor": cursor} if cursor else {"since": START})
    longest_s = 1.0
    while True:
        pause_s = random.uniform(0, longest_s)  # clients that were cut off together do not come back together
        longest_s = min(2 * longest_s, LONGEST_PAUSE_S)
        try:
            answer = client.get("/v1/records", params=query)
        except httpx.TransportError as error:
            problem = repr(error)
        else:
            if answer.is_success:
                page: dict[str, Any] = answer.json()
                return page
            problem = f"{answer.status_code} {answer.text}"
            if answer.status_code not in LATER:
                raise SystemExit(f"asking again would not help: {problem}")
            retry_after = answer.headers.get("Retry-After", "")
            pause_s += float(retry_after) if retry_after.isdigit() else 0.0
        print(f"asking again in {pause_s:.1f} s: {problem}", file=sys.stderr, flush=True)
        time.sleep(pause_s)


def follow(client: httpx.Client, file: sqlite3.Connection) -> None:
    """Store each page and the cursor behind it in one transaction: after a crash both are there, or neither is."""
    file.execute("CREATE TABLE IF NOT EXISTS records (delivery_key TEXT PRIMARY KEY, record TEXT NOT NULL)")
    file.execute("CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL)")
    while True:
        found = file.execute("SELECT cursor FROM position").fetchone()
        page = next_page(client, found[0] if found else None)
        rows = [(record["delivery_key"], json.dumps(record)) for record in page["records"]]
        with file:
            file.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", rows)
            file.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (page["resume_cursor"],))
        print(f"{len(rows)} records, up to {page['window']['until']}", flush=True)
        time.sleep(page["poll_after"])  # 0 where there is more already


def main(url: str, path: str) -> None:
    """Follow until it is stopped."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        follow(client, sqlite3.connect(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
