"""The catalogue of problems and the documents made of it."""

import ast
from functools import cache
from pathlib import Path

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import ValidationException

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


@get("/fails")
async def fails() -> None:
    """Fail as a defect does."""
    raise RuntimeError("a secret detail")


@get("/problem")
async def problem() -> None:
    """Raise a problem with everything."""
    wrong = FieldError(name="since", message="not a time", example="-PT15M")
    raise ProblemError("busy", "wait", errors=(wrong,), members={"retry_after_s": 7}, headers={"Retry-After": "7"})


@get("/framework")
async def framework() -> None:
    """Raise an exception of the framework's."""
    raise ValidationException("something of the framework's")


async def answer(path: str) -> httpx.Response:
    """Ask a small application with the service's handlers."""
    app = Litestar([fails, problem, framework], exception_handlers=EXCEPTION_HANDLERS, logging_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # httpx knows dicts only
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path)


async def test_a_problem_is_an_rfc_9457_document() -> None:
    """Type, title, status, code and detail, the errors, and further members and headers."""
    found = await answer("/problem")
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


async def test_a_defect_is_500_without_a_word_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is in the log and nowhere else."""
    found = await answer("/fails")
    assert (found.status_code, found.json()["code"]) == (500, "internal")
    assert "secret" not in found.text
    assert "a secret detail" in caplog.text


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/nope", 404, "not_found"), ("/framework", 400, "invalid_parameter")]
)
async def test_the_frameworks_exceptions_are_problems_too(path: str, status: int, code: str) -> None:
    """Whatever is answered with an error has the same form."""
    found = await answer(path)
    assert (found.status_code, found.json()["status"], found.json()["code"]) == (status, status, code)
    assert found.headers["content-type"] == "application/problem+json"
