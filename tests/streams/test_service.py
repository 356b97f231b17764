"""Several record types in one service: each message in the table of its stream, and each stream on its own."""

import json

import msgspec

from tests.streams.service import ORDER, PAYMENT, VISIT, market, push_to, records_of


async def test_each_message_is_stored_in_its_own_stream() -> None:
    """By no rule at all, an attribute, the path, and over HTTP; `/v1/records` is the first stream."""
    async with market() as service:
        assert (await service.push(ORDER, message_id="1")).status_code == 204
        assert (await service.push(PAYMENT, message_id="2", ce_type="payment.made")).status_code == 204
        assert (await push_to(service, "visits", msgspec.json.encode(VISIT), "3")).status_code == 204
        posted = await service.client.post("/v1/streams/payments/records", json={**PAYMENT, "number": 8})
        assert (posted.status_code, posted.json()["records"][0]["id"]) == (201, 8)
        assert (await service.client.post("/v1/records", json={**ORDER, "order_id": "o2"})).status_code == 201
        assert [each["order_id"] for each in await records_of(service, "orders")] == ["o1", "o2"]
        assert [each["number"] for each in await records_of(service, "payments")] == [7, 8]
        assert [each["page"] for each in await records_of(service, "visits")] == ["/"]
        default = await service.client.get("/v1/records", params={"freshness": "latest"})
        assert default.json()["records"] == await records_of(service, "orders")


async def test_every_way_out_is_there_for_each_stream() -> None:
    """By id where there is one, statistics, the schema, an export, the tail, and the list of streams."""
    async with market() as service:
        client = service.client
        await service.push(ORDER, message_id="1")
        await service.push(PAYMENT, message_id="2", stream="payments")
        assert (await client.get("/v1/streams/payments/records/7")).json()["number"] == 7
        assert (await client.get("/v1/streams/orders/records/o1")).json()["total"] == 12.5
        assert (await client.get("/v1/streams/visits/records/o1")).status_code == 404
        again = await client.post("/v1/streams/payments/records", json={**PAYMENT, "at": "2026-01-31T12:00:00Z"})
        assert again.status_code == 201
        both = await client.get("/v1/streams/payments/records/7", params={"versions": "all"})
        assert len(both.json()["records"]) == 2
        stats = await client.get("/v1/streams/payments/records/stats")
        assert stats.json()["series"][0]["records"] == 2
        tables = (await client.get("/v1/streams/payments/schema")).json()["tables"]
        assert [(table["name"], table["path"]) for table in tables] == [
            ("payments", "/v1/streams/payments/records"),
            ("records_rejected", "/v1/streams/payments/rejects"),
        ]
        lines = await client.get("/v1/streams/orders/records", params={"limit": "all", "format": "ndjson"})
        assert [json.loads(line)["order_id"] for line in lines.text.splitlines()] == ["o1"]
        assert (await client.head("/v1/streams/orders/records/tail")).status_code == 200
        streams = (await client.get("/v1/streams")).json()["streams"]
        assert [(each["name"], each["is_default"], each["id"], each["retention_days"]) for each in streams] == [
            ("orders", True, "order_id", 400),
            ("payments", False, "number", 30),
            ("visits", False, None, 400),
        ]


async def test_a_reject_is_of_its_stream() -> None:
    """Everyone's rejects are together; a stream's own show its own, and a message in none is in none."""
    async with market() as service:
        assert (await push_to(service, "orders", b'{"kind":"order"}', "1")).status_code == 204
        assert (await push_to(service, "payments", b'{"number":"x"}', "1")).status_code == 204
        misspelt = await service.push(PAYMENT, message_id="1", stream="payment", ce_type="payment.made")
        assert misspelt.status_code == 204
        assert [each["field"] for each in await records_of(service, "orders", "rejects")] == ["order_id"]
        (payment,) = await records_of(service, "payments", "rejects")
        assert (payment["reason"], payment["stream"], payment["field"]) == ("invalid", "payments", "number")
        assert await records_of(service, "visits", "rejects") == []
        answer = await service.client.get("/v1/rejects", params={"freshness": "latest"})
        everyone = answer.json()["records"]
        assert [(each["stream"], each["reason"]) for each in everyone] == [
            ("orders", "invalid"),
            ("payments", "invalid"),
            (None, "unroutable"),
        ]
        assert everyone[2]["detail"] == (
            "there is no stream 'payment', which the attribute stream names; the streams are orders, payments, visits"
        )
        stats = await service.client.get("/v1/streams/payments/rejects/stats", params={"by": "reason"})
        assert stats.json()["series"][0]["records"] == 1


async def test_one_message_may_be_of_two_streams_and_each_counts_its_own_copies() -> None:
    """Two subscriptions of one topic deliver the same message: it is stored in both, and in each once."""
    both = msgspec.json.encode({"page": "/", "kind": "visit"})
    async with market() as service:
        for _ in range(2):
            assert (await push_to(service, "visits", both)).status_code == 204
            assert (await push_to(service, "orders", both)).status_code == 204  # which rejects it
            assert (await service.push_bytes(both, stream="visit")).status_code == 204  # and which no stream takes
        assert len(await records_of(service, "visits")) == 1
        assert len(await records_of(service, "orders", "rejects")) == 1
        everyone = (await service.client.get("/v1/rejects", params={"freshness": "latest"})).json()["records"]
        assert sorted(str(each["stream"]) for each in everyone) == ["None", "orders"]


async def test_a_cursor_is_of_its_stream() -> None:
    """The rows of another table are not those behind it; the rejects of two streams are told apart too."""
    async with market() as service:
        for path, wrong in (
            ("streams/orders/records", "streams/payments/records"),
            ("records", "streams/payments/records"),
            ("streams/orders/rejects", "streams/payments/rejects"),
            ("rejects", "streams/payments/rejects"),
        ):
            cursor = (await service.client.get(f"/v1/{path}")).json()["resume_cursor"]
            assert (await service.client.get(f"/v1/{path}", params={"cursor": cursor})).status_code == 200
            answer = await service.client.get(f"/v1/{wrong}", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
        cursor = (await service.client.get("/v1/streams/orders/records")).json()["resume_cursor"]
        same = await service.client.get("/v1/records", params={"cursor": cursor})
        assert same.status_code == 200  # the default stream is the same one


async def test_an_unknown_stream_is_not_there() -> None:
    """Over HTTP it is 404 and says where to find those that are; a push to a path that names none is rejected."""
    async with market() as service:
        for path in ("records", "records/1", "records/stats", "records/tail", "rejects", "schema"):
            answer = await service.client.get(f"/v1/streams/order/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert answer.json()["detail"] == "there is no stream 'order' at this path; /v1/streams lists the streams"
        assert (await service.client.post("/v1/streams/order/records", json=ORDER)).status_code == 404
        no_id = await service.client.put("/v1/streams/visits/records/1", json=VISIT)
        assert (no_id.status_code, no_id.json()["code"]) == (404, "not_found")
        assert (await push_to(service, "order", b"{}")).status_code == 204
        (kept,) = (await service.client.get("/v1/rejects", params={"freshness": "latest"})).json()["records"]
        assert (kept["reason"], kept["stream"]) == ("unroutable", None)
        assert "there is no stream 'order', which the path of the push names" in kept["detail"]


async def test_an_erasure_is_of_one_stream() -> None:
    """The same id may mean something else in another stream."""
    async with market() as service:
        await service.push({**ORDER, "order_id": "7"}, message_id="1")
        await service.push(PAYMENT, message_id="2", stream="payments")
        answer = await service.client.delete("/v1/streams/payments/records/7")
        assert (answer.status_code, answer.json()["erased"]) == (200, 1), answer.text
        assert await records_of(service, "payments") == []
        assert len(await records_of(service, "orders")) == 1


async def test_health_and_metrics_tell_the_streams_apart() -> None:
    """A state for each table, and counts by stream."""
    async with market() as service:
        await service.push(ORDER, message_id="1")
        await service.push(ORDER, message_id="2", stream="order")
        await push_to(service, "payments", b"{", "3")
        ready = (await service.client.get("/health/ready")).json()
        assert list(ready["sinks"]) == ["orders", "payments", "visits", "records_rejected"]
        text = (await service.client.get("/metrics")).text
        for line in (
            'sluice_record_stored_total{stream="orders"} 1.0',
            'sluice_record_stored_total{stream="payments"} 0.0',
            'sluice_record_rejected_total{reason="malformed",stream="payments"} 1.0',
            'sluice_record_rejected_total{reason="unroutable",stream="-"} 1.0',
            'sluice_message_stored_delay_seconds_count{stream="orders"} 1.0',
        ):
            assert line in text
