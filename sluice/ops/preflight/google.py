"""Google's REST APIs: a question, its answer, and the one client that asks.

A question names an API by its host. `Endpoints` says where the host is: an `https` address is called with the caller's
own application-default credentials, an `http` address is a double on this machine, called without any.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

TIMEOUT_S = 30.0
_MAX_QUOTED = 400
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class Question(msgspec.Struct, frozen=True):
    """One request."""

    host: str
    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "GET"

    @property
    def key(self) -> str:
        """What tells it from others: equal reads are asked once."""
        return f"{self.method} {self.host}/{self.path} {json.dumps(self.body, sort_keys=True)}"


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status and the JSON body, or, with status 0, why nothing did."""

    status: int
    body: Mapping[str, Any] = {}
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """The error as Google words it (https://cloud.google.com/apis/design/errors), on one line."""
        error = self.body.get("error")
        text = error.get("message", "") if isinstance(error, Mapping) else str(error or "")
        line = " ".join((text or self.failure).split())
        return line if len(line) <= _MAX_QUOTED else f"{line[:_MAX_QUOTED]}…"

    @property
    def reason(self) -> str:
        """The machine-readable reason (google.rpc.ErrorInfo), such as SERVICE_DISABLED."""
        error = self.body.get("error")
        details = error.get("details", ()) if isinstance(error, Mapping) else ()
        return next((str(each["reason"]) for each in details if isinstance(each, Mapping) and "reason" in each), "")


class Google(Protocol):
    """What asks."""

    def ask(self, question: Question) -> Answer:
        """Return the answer; a failure of any kind is one, too."""

    def ask_service(self, url: str, query: Mapping[str, str], token: str) -> Answer:
        """Return the service's own answer to a GET with an ID token."""


class NoCredentialsError(Exception):
    """There are no application-default credentials; the message says how to get them."""


class Endpoints:
    """The address of each API."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        """Take URLs by host; that of `*` is for all other hosts, whose name then begins the path."""
        self._overrides = overrides

    def url(self, host: str) -> str:
        """Return the URL of an API, without a slash at its end."""
        if host in self._overrides:
            return self._overrides[host].rstrip("/")
        return f"{self._overrides['*'].rstrip('/')}/{host}" if "*" in self._overrides else f"https://{host}"


class RestClient:
    """Asks over HTTP as the caller; what is read once is remembered."""

    def __init__(self, endpoints: Endpoints, project: str) -> None:
        """Credentials are loaded with the first question to an `https` address."""
        self._endpoints, self._project = endpoints, project
        self._read: dict[str, Answer] = {}
        self._secure: Any = None
        self._plain: Any = None

    def ask(self, question: Question) -> Answer:
        """Return the answer.

        Raises:
            NoCredentialsError: it needs credentials, and there are none.
        """
        if question.key in self._read:
            return self._read[question.key]
        answer = self._send(question)
        if question.method == "GET":
            self._read[question.key] = answer
        return answer

    def ask_service(self, url: str, query: Mapping[str, str], token: str) -> Answer:
        """Return the service's own answer to a GET with an ID token."""
        from requests import RequestException, Session  # noqa: PLC0415 - as above

        try:
            with Session() as session:
                session.trust_env = not url.startswith("http://")
                response = session.get(
                    url, params=dict(query), headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S
                )
                body = response.json()
        except (RequestException, ValueError) as error:
            return Answer(0, failure=f"{type(error).__name__}: {error}")
        if response.status_code >= 400:  # a problem document (RFC 9457)
            body = {"error": {"message": f"{body.get('title', '')}: {body.get('detail', '')}"}}
        return Answer(response.status_code, body)

    def _send(self, question: Question) -> Answer:
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - `--list` needs no extra
        from requests import RequestException  # noqa: PLC0415 - likewise

        url = f"{self._endpoints.url(question.host)}/{question.path}"
        try:
            response = self._session(url).request(
                question.method,
                url,
                json=question.body,
                headers={"x-goog-user-project": self._project},
                timeout=TIMEOUT_S,
            )
            body = response.json() if response.content else {}
        except (RequestException, GoogleAuthError) as error:
            return Answer(0, failure=f"{type(error).__name__}: {error}")
        except ValueError:
            body = {"error": {"message": f"not JSON: {response.text[:_MAX_QUOTED]}"}}
        return Answer(response.status_code, body if isinstance(body, dict) else {"items": body})

    def _session(self, url: str) -> Any:
        import requests  # noqa: PLC0415 - as above

        if url.startswith("http://"):
            if self._plain is None:
                self._plain = requests.Session()
                self._plain.trust_env = False  # a double on this machine: through no proxy
            return self._plain
        if self._secure is None:
            self._secure = _authorized()
        return self._secure


def _authorized() -> Any:
    import google.auth  # noqa: PLC0415 - as above
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - as above
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415 - as above

    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError as error:
        raise NoCredentialsError("no Google credentials: run `gcloud auth application-default login`") from error
    return AuthorizedSession(credentials)
