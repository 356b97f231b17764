"""Call a service over HTTP, and explain in plain words any unexpected response.

It uses only the standard library: the check must work before anything else is installed.
"""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from ipaddress import ip_address
from typing import Any

import msgspec

VARIABLE = "SMOKE_TOKEN"
_LONGEST_TEXT = 300
_MEANINGS = {
    401: "the service does not accept the token. Its audience must be the service's SLUICE_API_AUDIENCE, it "
    "must have a verified e-mail (--include-email), and it must be younger than an hour (docs/access.md)",
    403: "the caller lacks a scope: it needs `read` and `write` (docs/access.md)",
    404: "give the service's base URL, without a path",
}
_PLATFORM = (
    "Cloud Run refused the request before it reached the service: the platform checks callers itself, and this "
    "one is not an invoker (SLUICE_PLATFORM_IAM in docs/settings.md)"
)


class SmokeError(Exception):
    """A step failed; the message says what was found and what to check."""


class Answer(msgspec.Struct, frozen=True):
    """A response with any status, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float

    def json(self) -> Any:
        """Return the body. Raises SmokeError if it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            text = f"a body that is not JSON ({error}): {_shortened(self.body)}"
            raise SmokeError(f"{self.status} with {text}; check that this is the service's URL") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: the token would be sent along."""


class Client:
    """A client of one service, with the caller's token."""

    def __init__(self, url: str, token: str = "") -> None:
        """Set the service's base URL. Raises SmokeError if it is invalid, or would send the token unencrypted."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SmokeError(f"{url!r}: expected a base URL such as https://sluice-abc123-ew.a.run.app")
        if token and parts.scheme == "http" and not _is_local(parts.hostname):
            raise SmokeError(f"{url!r}: a token must not be sent over http, which others can read; use https")
        self.url = url.rstrip("/")
        self._token = token
        self._open = urllib.request.build_opener(_NoRedirect).open

    def get(self, path: str, parameters: dict[str, str] | None = None, *, timeout_s: float = 30.0) -> Answer:
        """Return the response to a GET, whatever its status. Raises SmokeError if there is none."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        return self._ask(urllib.request.Request(f"{self.url}{path}{query}"), timeout_s)  # noqa: S310 - checked above

    def post(self, path: str, record: Any, headers: dict[str, str], *, timeout_s: float = 35.0) -> Answer:
        """Return the response to a POST of JSON, likewise; the service itself times out after 30 s."""
        request = urllib.request.Request(  # noqa: S310 - checked above
            f"{self.url}{path}",
            data=msgspec.json.encode(record),
            headers={"Content-Type": "application/json"} | headers,
        )
        return self._ask(request, timeout_s)

    def _ask(self, request: urllib.request.Request, timeout_s: float) -> Answer:
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", "sluice-smoke")
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        begun = time.monotonic()
        try:
            with self._open(request, timeout=timeout_s) as response:
                return _answer(response, begun)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error, begun)
        except (OSError, http.client.HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            raise SmokeError(f"{self.url} does not answer: {cause or type(error).__name__}") from error


def refusal(request: str, answer: Answer, *, has_token: bool) -> SmokeError:
    """Return an error that explains an unexpected response to `request`."""
    text = f"{request} was answered {answer.status}"
    if 300 <= answer.status < 400:
        return SmokeError(
            f"{text}: redirected to {answer.headers.get('location', 'nowhere')}; give the URL of that service"
        )
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        problem = answer.json()
        text += f" {problem.get('code', '')}: {problem.get('detail', problem.get('title', ''))}"
        text += "".join(f"; {each.get('name')}: {each.get('message')}" for each in problem.get("errors", []))
        meaning = _MEANINGS.get(answer.status, "")
    elif answer.status in {401, 403} and "html" in answer.headers.get("content-type", ""):
        meaning = _PLATFORM
    else:
        text += f": {_shortened(answer.body)}" if answer.body else ""
        meaning = _MEANINGS.get(answer.status, "")
    if answer.status == 401 and not has_token:
        meaning = "the service requires authentication: give --token, or set SMOKE_TOKEN (docs/access.md)"
    return SmokeError(f"{text}. {meaning[:1].upper()}{meaning[1:]}." if meaning else text)


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _answer(response: Any, begun: float) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, response.read(), time.monotonic() - begun)


def _shortened(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
