"""Follow the feed for ever: every record once in a SQLite file, over crashes, restarts and outages.

Install sluice-client, then: python follow.py http://127.0.0.1:8080 records.sqlite
"""

import os
import sys

from sluice_client import Client, Progress

START = "-PT1H"  # where to begin when the file is new


def show(progress: Progress) -> None:
    """Say how far it is, after each page."""
    print(f"{progress.stored} records, up to {progress.up_to}", flush=True)


def complain(pause_s: float, reason: str) -> None:
    """Say why it pauses."""
    print(f"asking again in {pause_s:.1f} s: {reason}", file=sys.stderr, flush=True)


def main(url: str, path: str) -> None:
    """Follow until it is stopped: after a crash a page and the cursor behind it are both in the file, or neither is."""
    token = os.environ.get("API_TOKEN")  # an API key or a Google ID token, where the service wants one
    with Client(url, token=token, on_retry=complain) as client:
        client.follow_into(path, since=START, on_progress=show)


if __name__ == "__main__":
    main(*sys.argv[1:])
