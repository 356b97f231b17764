"""Sending records: each once, whatever happens to the responses."""

import json

import httpx
import pytest

from sluice_client.errors import ProblemError, UnreachableError
from sluice_client.protocol.retry import RetryPolicy
from tests.client.scripted import problem, scripted


def accept(request: httpx.Request) -> httpx.Response:
    """Store every record that has an even number."""
    sent = json.loads(request.content)
    results = [
        {"index": index, "delivery_key": f"k{index}"}
        | ({"status": "rejected", "reason": "invalid"} if record["n"] % 2 else {"status": "stored", "id": record["n"]})
        for index, record in enumerate(sent)
    ]
    return httpx.Response(207, json={"results": results})


def test_each_part_is_repeated_under_its_own_key() -> None:
    """The same key for the same part, until it is answered; the results count through."""
    client, script = scripted(
        httpx.ReadError("cut"), problem(503, "unavailable"), accept, httpx.ReadError("cut"), accept
    )
    results = client.publish(({"n": number} for number in range(700)), idempotency_key="mine")
    assert [result.index for result in results] == list(range(700))
    assert [result.is_stored for result in results] == [True, False] * 350
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["mine-0"] * 3 + ["mine-1"] * 2
    assert len({request.content for request in script.requests}) == 2


def test_a_request_is_not_repeated_for_longer_than_the_service_remembers() -> None:
    """Later it would store the records a second time."""
    busy = problem(429, "busy", headers={"Retry-After": "200"})
    client, script = scripted(*[busy] * 4, retry=RetryPolicy(None))
    with pytest.raises(UnreachableError, match="abandoned"):
        client.publish([{"n": 0}])
    assert sum(script.pauses) < 900


def test_rejected_records_are_results_and_other_refusals_are_errors() -> None:
    """Also where all records of a request are rejected; the reasons are those of each record."""
    faults = [{"name": "[0].timestamp", "message": "missing"}, {"name": "[0].id", "message": "too long"}]
    client, _ = scripted(problem(422, "rejected", errors=[*faults, {"name": "[1]", "message": "no object"}]))
    first, second = client.publish([{}, 1])
    assert (first.status, first.detail, second.detail) == ("rejected", "missing; too long", "no object")
    client, _ = scripted(problem(422, "idempotency_conflict"))
    with pytest.raises(ProblemError, match="idempotency_conflict"):
        client.publish([{}])
