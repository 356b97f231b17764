"""Run Schemathesis over the service as a real process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from sluice.testing import tokens
from sluice.testing.pace import patience_s
from tests.support.instance import instance
from tests.support.process import ROOT

SETTINGS = Path(__file__).with_name("schemathesis.toml")
DOCUMENT = "/openapi/openapi.json"
READER = "reader@example.com"
_DAY_S = 86_400
_ANSWER_S = 20


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run the service, with records and rejects in both streams, until the block ends; return its URL and its log."""
    with instance(
        folder,
        streams="tests.api.streams:STREAMS",
        api_principals=READER,
        api_audience=tokens.AUDIENCE,
        tail_max_s="0.2",
        requests_per_minute="0",  # else most answers are 429, which says little
    ) as running:
        _fill(running.url)
        yield running.url, running.log


def fuzz(
    url: str,
    arguments: Sequence[str] = (),
    *,
    document: Path | None = None,
    token: str | None = None,
    push_token: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis over the service at `url`; its exit status is 0 where it found nothing.

    `document` is a file to use instead of the document that the service serves. `token` is the caller's bearer token or
    key; without one, the caller is a reader who may do everything.
    """
    expires = int(time.time()) + _DAY_S
    environment = os.environ | {
        "FUZZ_TOKEN": token or tokens.token(email=READER, exp=expires),
        "FUZZ_PUSH_TOKEN": push_token or tokens.token(exp=expires),
        "PYTHONPATH": str(ROOT),
    }
    source = [url + DOCUMENT] if document is None else [str(document), "--url", url]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), "run", *source, *arguments]
    command += ["--request-timeout", str(patience_s(_ANSWER_S))]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def unexpected(log: Path) -> list[str]:
    """Return the lines of a log that tell of a defect."""
    return [line for line in log.read_text().splitlines() if "unexpected failure" in line or "Traceback" in line]


def _fill(url: str) -> None:
    """Store some records in each stream, and have some rejected."""
    headers = {"Authorization": f"Bearer {tokens.token(email=READER)}"}
    records = [{"id": f"id{number}", "timestamp": "2026-01-31T12:00:00Z", "source": "a"} for number in range(30)]
    payments = [{"number": number, "at": "2026-01-31T12:00:00Z"} for number in range(30)]
    sent = {"records": [*records, {"id": 7}, "no record"], "streams/payments/records": [*payments, {"number": "7"}]}
    for path, body in sent.items():
        answer = httpx.post(f"{url}/v1/{path}", content=msgspec.json.encode(body), headers=headers)
        assert answer.status_code == 207, answer.text
