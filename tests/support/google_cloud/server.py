"""Serve a project's state over HTTP, with Google's errors (https://cloud.google.com/apis/design/errors)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from sluice.testing.http_server import Handler, serving_http
from tests.support.google_cloud.project import RUN, Project

Reply = tuple[int, dict[str, Any]]


@contextmanager
def serving(project: Project) -> Iterator[str]:
    """Serve `project` until the block ends; the value is the URL for the host `*`."""

    class _Handler(Handler):
        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._reply(msgspec.json.decode(self.rfile.read(length)) if length else {})

        def _reply(self, body: dict[str, Any] | None) -> None:
            url = urlsplit(self.path)
            status, answer = reply(project, url.path.lstrip("/"), parse_qs(url.query), body)
            self.reply(msgspec.json.encode(answer), status=status)

    with serving_http(_Handler) as url:
        yield url


def reply(  # noqa: PLR0911 - one for each kind
    project: Project, path: str, query: dict[str, list[str]], body: dict[str, Any] | None
) -> Reply:
    """Return the status and the body of the answer to one request; a GET has no `body`."""
    host = path.partition("/")[0]
    if host in project.off:
        return _error(403, f"{host} has not been used in project before or it is disabled", "SERVICE_DISABLED")
    if any(part in path for part in project.forbidden):
        return _error(403, f"Permission denied on resource {path}", "IAM_PERMISSION_DENIED")
    if path == RUN and RUN in project.resources:
        return 200, project.service()
    if path in project.resources:
        return 200, project.resources[path]
    if project.journeys is not None and (answer := project.journeys(path, query, body)) is not None:
        return 200, answer
    if body is not None:
        return _computed(project, path, body)
    if path.startswith("bigquery.googleapis.com/"):
        return _error(404, f"Not found: Table {path.rpartition('/')[2]}", "notFound")
    return _error(404, f"Resource not found (resource={path.rpartition('/')[2]}).", "NOT_FOUND")


def _computed(project: Project, path: str, body: dict[str, Any]) -> Reply:
    if path.endswith(":generateIdToken"):
        if not project.may_impersonate:
            return _error(403, "Permission 'iam.serviceAccounts.getOpenIdToken' denied", "IAM_PERMISSION_DENIED")
        return 200, {"token": project.token(body["audience"])}
    return _error(404, f"Method not found: {path}", "NOT_FOUND")


def _error(code: int, message: str, reason: str) -> Reply:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return code, {"error": {"code": code, "message": message, "details": [info]}}
