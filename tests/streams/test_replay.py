"""Rejects of several streams are replayed into their own, whatever had brought them there."""

import itertools
from pathlib import Path

import msgspec
import pytest

from sluice.testing.clock import FakeClock
from sluice.testing.service import Service, running
from tests.contract.test_service import replayed
from tests.streams.service import MARKET, ORDER, PAYMENT, push_to, records_of

_numbers = itertools.count()


async def replay_all(service: Service, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Replay to the topic that all streams share, whose messages name their stream themselves."""
    for message in await replayed(service, monkeypatch, "--since", "-PT1H", *arguments):
        attributes = {name.replace("-", "_"): value for name, value in message.attributes.items()}
        answer = await service.push_bytes(message.data, message_id=f"replay-{next(_numbers)}", **attributes)
        assert answer.status_code == 204


async def test_a_replay_brings_each_reject_to_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by its path, one as no rule names another, one by the operator's word; twice is once."""
    clock, path = FakeClock(), str(tmp_path / "store.duckdb")
    strict = MARKET.replace(data_path=path, max_record_bytes=8)
    order, payment = msgspec.json.encode(ORDER), msgspec.json.encode(PAYMENT)
    lost = msgspec.json.encode({"number": 8, "kind": "?"})
    async with running(strict, clock) as service:
        assert (await push_to(service, "payments", payment, "1")).status_code == 204
        assert (await service.push_bytes(order, message_id="2")).status_code == 204
        assert (await service.push_bytes(lost, message_id="3", stream="payment")).status_code == 204
    async with running(MARKET.replace(data_path=path), clock) as service:
        rejects = (await service.client.get("/v1/rejects", params={"freshness": "latest"})).json()["records"]
        assert {each["stream"]: each["reason"] for each in rejects} == {
            "payments": "too_large",
            "orders": "too_large",
            None: "unroutable",
        }
        for _ in range(2):
            await replay_all(service, monkeypatch, "--reason", "too_large")
        assert [each["number"] for each in await records_of(service, "payments")] == [7]
        assert [each["order_id"] for each in await records_of(service, "orders")] == ["o1"]
        await replay_all(service, monkeypatch, "--reason", "unroutable", "--to", "payments")
        assert [each["number"] for each in await records_of(service, "payments")] == [7, 8]
        assert await records_of(service, "visits") == []
