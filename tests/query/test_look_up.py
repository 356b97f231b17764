"""How one record is asked for by its id, over HTTP."""

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


@pytest.mark.parametrize("path", ["%FF", "a%C3", "%ED%A0%80"])
def test_a_path_that_is_no_text_names_no_id(service: Service, client: Client, path: str) -> None:
    """Bytes that are not UTF-8 do not find the record whose id is the replacement character."""
    service.put_record(T0_US + 200, "odd", "\ufffd")
    assert client.get("/v1/records/%EF%BF%BD").status_code == 200
    assert problem_of(client.get(f"/v1/records/{path}"))["code"] == "invalid_parameter"
