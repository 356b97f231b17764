"""How one record is asked for by its id, over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from app.query.answer import record
from tests.contract.service import Client, Service, problem_of
from tests.contract.stores import T0_US


def test_more_versions_than_an_answer_holds_are_cut_and_said_to_be(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are there, and `complete` is false."""
    monkeypatch.setattr(record, "MAX_LIMIT", 2)
    service.put_records((T0_US + 200 + number, f"v{number}", "many") for number in range(3))
    versions = client.get("/v1/records/many?versions=all").json()
    assert [record["delivery_key"] for record in versions["records"]] == ["v2", "v1"]
    assert versions["complete"] is False


@pytest.mark.parametrize(
    ("path", "code", "detail"),
    [("nobody", "not_found", "there is no record with the id 'nobody'"), ("id1?limit=5", "invalid_parameter", "limit")],
)
def test_an_unknown_id_or_a_parameter_of_the_feed_is_a_problem(
    client: Client, path: str, code: str, detail: str
) -> None:
    """The problem says which it was."""
    problem = problem_of(client.get(f"/v1/records/{path}"))
    assert (problem["code"], detail in problem["detail"]) == (code, True)


@pytest.mark.parametrize("path", ["%FF", "a%C3", "%ED%A0%80"])
def test_a_path_that_is_no_text_names_no_id(service: Service, client: Client, path: str) -> None:
    """Bytes that are not UTF-8 do not find the record whose id is the replacement character."""
    service.put_record(T0_US + 200, "odd", "\ufffd")
    assert client.get("/v1/records/%EF%BF%BD").status_code == 200
    assert problem_of(client.get(f"/v1/records/{path}"))["code"] == "invalid_parameter"


def test_an_answer_without_raw_path_is_found_too(service: Service) -> None:
    """Servers may leave `raw_path` out: the decoded path serves."""
    inner: Callable[..., Any] = service.app

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        scope.pop("raw_path", None)
        await inner(scope, receive, send)

    assert Client(service.engine, bare).get("/v1/records/id1").json()["id"] == "id1"
