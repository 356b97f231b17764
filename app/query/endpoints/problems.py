"""The route `/v1/problems`: the catalogue of problems that a request may be answered with."""

from typing import Any, cast

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.http.problems import CATALOGUE, problem_responses
from app.http.reading import METHODS, operation_ids
from app.query.endpoints.openapi import NOT_MODIFIED, ProblemEntry, ProblemList, operation_type
from app.query.endpoints.static_response import StaticResponse

_PROBLEMS = {
    400: "There are no parameters here.",
    401: "No token, or not a valid one.",
    403: "The caller may not do that.",
}


def problems_route() -> HTTPRouteHandler:
    """Return the route of the catalogue."""
    problems = [
        ProblemEntry(
            type=f"{paths.PROBLEMS}#{code}",
            code=code,
            status=kind.status,
            title=kind.title,
            advice=kind.advice,
        )
        for code, kind in CATALOGUE.items()
    ]
    answer = StaticResponse(msgspec.json.encode(ProblemList(problems)))
    example = msgspec.to_builtins(ProblemList(problems[:2]))

    @route(
        paths.PROBLEMS,
        http_method=METHODS,
        operation_id=operation_ids("listProblems"),
        operation_class=operation_type({}, responses={304: NOT_MODIFIED}, example=example),
        summary="Read the catalogue of problems",
        description="Every `code` of a problem document, with its status and what to do about it.",
        tags=["query"],
        responses=problem_responses(_PROBLEMS),
    )
    async def read_problems(request: Request[Any, Any, Any]) -> Response[ProblemList]:
        # The annotation is for the OpenAPI document.
        return cast("Response[ProblemList]", answer.to(request))

    return read_problems
