"""The catalogue of problems and the documents made of it."""

import httpx
from litestar import Litestar, get

from app.http.problems import CATALOGUE, EXCEPTION_HANDLERS, FieldError, ProblemError


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
