"""The catalogue of problems and the documents made of it."""

import ast
from functools import cache
from pathlib import Path

import httpx
import pytest
from litestar import Litestar, get

from app.http.problems import CATALOGUE, EXCEPTION_HANDLERS, FieldError, ProblemError

APP = Path(__file__).parents[2] / "app"


@cache
def codes_in_use() -> set[str]:
    """Return the codes that the service gives, read from its code."""
    return {
        node.value
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text().replace("CATALOGUE: dict", "_: dict")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in CATALOGUE
    }


def test_every_problem_raised_is_in_the_catalogue() -> None:
    """A code that is not listed could not be looked up."""
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ProblemError":
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    assert code.value in CATALOGUE, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_entry_is_used_and_says_something(code: str) -> None:
    """The catalogue lists what can happen and nothing else."""
    assert code in codes_in_use()
    kind = CATALOGUE[code]
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.advice.endswith(".")


@get("/problem")
async def problem() -> None:
    """Raise a problem with everything."""
    wrong = FieldError(name="since", message="not a time", example="-PT15M")
    raise ProblemError("busy", "wait", errors=(wrong,), members={"retry_after_s": 7}, headers={"Retry-After": "7"})


async def test_a_problem_is_an_rfc_9457_document() -> None:
    """Type, title, status, code and detail, the errors, and further members and headers."""
    app = Litestar([problem], exception_handlers=EXCEPTION_HANDLERS, logging_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        found = await client.get("/problem")
    assert found.status_code == 429
    assert found.headers["content-type"] == "application/problem+json"
    assert found.headers["retry-after"] == "7"
    assert found.json() == {
        "type": "/v1/problems#busy",
        "title": CATALOGUE["busy"].title,
        "status": 429,
        "code": "busy",
        "detail": "wait",
        "errors": [{"name": "since", "message": "not a time", "example": "-PT15M"}],
        "retry_after_s": 7,
    }
