"""A service that answers from a script: each request gets the next answer, and pauses take no time."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec

from sluice_client import Client
from sluice_client.protocol.retry import RetryPolicy

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Script(msgspec.Struct):
    """The answers that are left, the requests so far, and the pauses between them."""

    answers: Iterator[Answer]
    requests: list[httpx.Request] = []
    pauses: list[float] = []
    reasons: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        self.requests.append(request)
        following = next(self.answers)
        if isinstance(following, Exception):
            raise following
        return following if isinstance(following, httpx.Response) else following(request)

    def params(self, name: str) -> list[str | None]:
        """Return a parameter of each request."""
        return [request.url.params.get(name) for request in self.requests]


def scripted(*answers: Answer, retry: RetryPolicy | None = None) -> tuple[Client, Script]:
    """Return a client of a service that answers so."""
    script = Script(iter(answers))
    client = Client(
        "http://service/",
        retry=retry,
        transport=httpx.MockTransport(script.answer),
        sleep=script.pauses.append,
        on_retry=lambda _, reason: script.reasons.append(reason),
    )
    return client, script


def page(*ids: Any, next_cursor: str | None = None, resume: str = "r", poll_after: int = 0, **headers: str) -> Answer:
    """Return a page of records, each or its id."""
    body: dict[str, Any] = {
        "records": [{"id": each} if isinstance(each, str) else each for each in ids],
        "next_cursor": next_cursor,
        "resume_cursor": resume,
        "window": {"since": "2026-01-31T11:00:00Z", "until": "2026-01-31T12:00:00Z"},
        "poll_after": poll_after,
    }
    return httpx.Response(200, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def problem(status: int, code: str, /, *, headers: dict[str, str] | None = None, **members: Any) -> Answer:
    """Return a refusal."""
    body = {"status": status, "code": code, "title": code, "detail": f"about {code}", **members}
    return httpx.Response(status, json=body, headers=headers)


def too_long(latest: str) -> Answer:
    """Return the refusal of a window that is longer than the service reads."""
    return problem(
        400, "invalid_parameter", max_window_days=31, errors=[{"name": "until", "message": "", "example": latest}]
    )
