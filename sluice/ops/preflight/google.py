"""Google's REST APIs, asked with the caller's own application-default credentials."""

from collections.abc import Mapping
from typing import Any, Protocol

import google.auth
import requests
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

_TIMEOUT_S = 30.0
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class UnreadableError(Exception):
    """Google does not answer, as the caller may not ask or the API is off; the message says why."""


class NoCredentialsError(Exception):
    """There are no application-default credentials; the message says how to get them."""


class Google(Protocol):
    """Answers requests to Google's APIs."""

    def ask(self, host: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """Return the JSON of a GET, or of a POST of `body`; None if the resource does not exist.

        Raises:
            UnreadableError: any other error.
        """


class RestClient:
    """Asks over HTTP; Google counts the requests against `project`."""

    def __init__(self, project: str) -> None:
        """Raises NoCredentialsError: there are no credentials."""
        self._project = project
        try:
            credentials, _ = google.auth.default(scopes=_SCOPES)
        except DefaultCredentialsError as error:
            raise NoCredentialsError("no Google credentials: run `gcloud auth application-default login`") from error
        self._session: Any = AuthorizedSession(credentials)

    def ask(self, host: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """Return the JSON of a GET, or of a POST of `body`; None if the resource does not exist.

        Raises:
            UnreadableError: any other error.
        """
        try:
            response = self._session.request(
                "GET" if body is None else "POST",
                f"https://{host}/{path}",
                json=body,
                headers={"x-goog-user-project": self._project},
                timeout=_TIMEOUT_S,
            )
            answer = response.json() if response.content else {}
        except (requests.RequestException, GoogleAuthError, ValueError) as error:
            raise UnreadableError(f"{host} cannot be asked: {type(error).__name__}: {error}") from error
        if response.status_code == 404:
            return None
        if not response.ok:
            raise UnreadableError(f"{host} answered {response.status_code}: {_message(answer)}")
        found: Mapping[str, Any] = answer
        return found


def _message(answer: Any) -> str:
    """Return the message of an error on one line: https://cloud.google.com/apis/design/errors."""
    error = answer.get("error") if isinstance(answer, dict) else answer
    return " ".join(str(error.get("message") if isinstance(error, dict) else error).split())
