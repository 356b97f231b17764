"""The route `/v1/problems`: the catalogue of problems that a request may be answered with."""

from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.problems import CATALOGUE
from app.http.reading import METHODS
from app.query.endpoints.openapi import NOT_MODIFIED
from app.query.endpoints.static_response import StaticResponse

_PROBLEMS = {
    400: "The endpoint has no parameters.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
}


class ProblemEntry(msgspec.Struct, frozen=True):
    """A problem that the service may answer with."""

    type: str
    code: str
    status: int
    title: str
    advice: str


class ProblemList(msgspec.Struct, frozen=True):
    """All of them."""

    problems: list[ProblemEntry]


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
    described = Answer("The catalogue.", {JSON: media(ProblemList, example)})
    contract = Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)

    @route(
        paths.PROBLEMS,
        http_method=METHODS,
        operation_id="listProblems",
        opt={CONTRACT: contract},
        summary="Read the catalogue of problems",
        description="Every `code` of a problem document, with its status, title and advice.",
        tags=["query"],
    )
    async def read_problems(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer.to(request)

    return read_problems
