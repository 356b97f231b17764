"""Serve a project's state over HTTP, with Google's errors (https://cloud.google.com/apis/design/errors)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from sluice.testing.http_server import Handler, serving_http
from tests.support.google_cloud.project import PROJECT, RESOURCES, RUN, SYSTEM, USAGE, Project

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
        return _page(project.resources[path], query)
    if path.startswith(f"{USAGE}/v1/") and path.endswith("services:batchGet"):
        states = [{"name": name, "state": project.services[name.rpartition("/")[2]]} for name in query["names"]]
        return 200, {"services": states}
    if project.journeys is not None and (answer := project.journeys(path, query, body)) is not None:
        return 200, answer
    if body is not None:
        return _computed(project, path, body)
    if path.startswith("bigquery.googleapis.com/"):
        return _error(404, f"Not found: Table {path.rpartition('/')[2]}", "notFound")
    return _error(404, f"Resource not found (resource={path.rpartition('/')[2]}).", "NOT_FOUND")


def _page(resource: dict[str, Any], query: dict[str, list[str]]) -> Reply:
    """Return a resource; a list of alert policies one at a time, so that the reader must turn pages."""
    members = resource.get("alertPolicies")
    if not members:
        return 200, resource
    at = int(query.get("pageToken", ["0"])[0])
    more = {"nextPageToken": str(at + 1)} if at + 1 < len(members) else {}
    return 200, {"alertPolicies": members[at : at + 1], **more}


def _computed(project: Project, path: str, body: dict[str, Any]) -> Reply:  # noqa: PLR0911 - as above
    if path == f"{RESOURCES}:testIamPermissions":
        return 200, {"permissions": [each for each in body["permissions"] if each in project.permissions]}
    if path.endswith(":generateIdToken"):
        if not project.may_impersonate:
            return _error(403, "Permission 'iam.serviceAccounts.getOpenIdToken' denied", "IAM_PERMISSION_DENIED")
        return 200, {"token": project.token(body["audience"])}
    if path.endswith("/prometheus/api/v1/query"):
        if any(part in body["query"] for part in project.refused_queries):
            error = "the metric may have several monitored resources: pin monitored_resource"
            return 400, {"status": "error", "errorType": "bad_data", "error": error}
        return 200, {"status": "success", "data": {"resultType": "vector", "result": []}}
    if path.endswith("/jobs"):
        sql = body["configuration"]["query"]["query"]
        if any(part in sql for part in project.refused_statements):
            return _error(400, "Unrecognized name: nothing at [1:8]", "invalidQuery")
        return 200, {"status": {"state": "DONE"}, "configuration": body["configuration"]}
    if path.endswith("/queries"):
        return 200, _search_indexes(project, body)
    return _error(404, f"Method not found: {path}", "NOT_FOUND")


def _search_indexes(project: Project, body: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of INFORMATION_SCHEMA.SEARCH_INDEXES that the query of a table asks for."""
    view = f"`{PROJECT}.{SYSTEM}`.INFORMATION_SCHEMA.SEARCH_INDEXES"
    statement = re.search(rf" FROM {re.escape(view)} WHERE table_name = '(\w+)'$", body["query"])
    if statement is None or body["useLegacySql"]:
        raise ValueError(body)
    rows = [
        {"f": [{"v": status}, {"v": str(coverage)}]}
        for status, coverage in project.search_indexes.get(statement[1], ())
    ]
    return {"jobComplete": True, "totalRows": str(len(rows)), "rows": rows}


def _error(code: int, message: str, reason: str) -> Reply:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return code, {"error": {"code": code, "message": message, "details": [info]}}
