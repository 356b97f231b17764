"""A running service, as the commands of operators ask it: its feed by `sluice-client`, everything else by a GET."""

import time
from ipaddress import ip_address
from typing import Any

import httpx

from sluice_client import Client, ProblemError, ResponseError, RetryPolicy, SluiceError, UnreachableError
from sluice_client.protocol.problems import problem_of

VARIABLE = "SMOKE_TOKEN"
_TIMEOUT_S = 30.0
_PAUSE_S = 0.5
_PLATFORM = (
    "Cloud Run refused the request before it reached the service: the platform checks callers itself, and this "
    "one is not an invoker (SLUICE_PLATFORM_IAM in docs/settings.md)."
)


class Service:
    """One service, with the caller's token; `client` tries again for up to `patience_s`."""

    def __init__(self, url: str, token: str = "", patience_s: float = 60.0) -> None:
        """Name the service. Raises SluiceError if the URL is invalid, or would send the token unencrypted."""
        parts = httpx.URL(url)
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise SluiceError(f"{url!r}: expected a base URL such as https://sluice-abc123-ew.a.run.app")
        if token and parts.scheme == "http" and not _is_local(parts.host):
            raise SluiceError(f"{url!r}: a token must not be sent over http, which others can read; use https")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise SluiceError("the token contains a space or a line break: give exactly one token")
        self.url, self._token = url.rstrip("/"), token
        self.client = Client(self.url, token=token, retry=RetryPolicy(patience_s))

    def get(self, path: str, **parameters: str) -> Any:
        """Return the JSON of a GET, without another try. Raises SluiceError if it is not answered so."""
        response = self._ask(path, parameters)
        if response.status_code != 200:
            raise ProblemError(problem_of(response.status_code, response.content))
        return _json(response)

    def health(self, within_s: float = 0.0) -> Any:
        """Return the readiness of a service that is ready; one that is starting may be so for `within_s`.

        Raises:
            SluiceError: it is not ready; the message says why.
        """
        deadline_s = time.monotonic() + within_s
        while (response := self._ask("/health/ready", {"strict": "1"})).status_code == 503:
            health = _json(response)
            if health.get("status") != "starting" or time.monotonic() > deadline_s:
                raise SluiceError(f"not ready: {_trouble(health)}")
            time.sleep(_PAUSE_S)
        if response.status_code != 200:
            raise ProblemError(problem_of(response.status_code, response.content))
        return _json(response)

    def explain(self, error: SluiceError) -> str:
        """Return an error in words, with what to check where not the service has answered."""
        if not isinstance(error, ProblemError) or error.problem.code:
            return str(error)
        cure = _PLATFORM if error.problem.status in {401, 403} else f"Check that {self.url} is the service's base URL."
        return f"{error}. {cure}"

    def _ask(self, path: str, parameters: dict[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            # A redirect is not followed: the token would be sent along.
            return httpx.get(f"{self.url}{path}", params=parameters, headers=headers, timeout=_TIMEOUT_S)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(f"{self.url} does not answer: {error}") from error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ResponseError(f"{response.url} does not answer JSON: check that this is the service's URL") from error


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _trouble(health: dict[str, Any]) -> str:
    """Return the problems that a readiness response reports."""
    if health.get("status") != "ready":
        return f"the instance is {health.get('status')}"
    states = [(f"table {name}", state) for name, state in health.get("sinks", {}).items()]
    states.append(("reads", (health.get("store") or {}).get("reads") or {"state": "ACTIVE"}))
    faults = [
        f"{what}: {state['state']}, {state.get('detail')} (see {state.get('help')})"
        for what, state in states
        if state["state"] != "ACTIVE" or state.get("stuck")
    ]
    return "; ".join(faults) or "the service gives no reason"
