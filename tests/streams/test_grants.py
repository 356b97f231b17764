"""Grants by stream: a caller of some streams sees neither the records of the others nor their rejects."""

from pathlib import Path
from typing import Any

import httpx

from tests.auth.callers import KEY, document, key_grant
from tests.streams.service import ORDER, PAYMENT, market


def settings_of(tmp_path: Path, **grant: Any) -> dict[str, Any]:
    """Return the settings of a service whose only key has this grant."""
    file = tmp_path / "grants.json"
    file.write_bytes(document(key_grant(KEY, **grant)))
    return {"grants_file": str(file), "api_audience": "https://api.example"}


def keyed(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return `client` with the key."""
    client.headers["Authorization"] = f"Bearer {KEY}"
    return client


ALL = ["read", "write", "rejects", "erase"]


async def test_a_caller_of_one_stream_is_told_no_about_the_others(tmp_path: Path) -> None:
    """Reads, writes, rejects, erasures and the default paths; what it may use is named."""
    async with market(**settings_of(tmp_path, scopes=ALL, streams=["payments"])) as service:
        client = keyed(service.client)
        assert (await client.post("/v1/streams/payments/records", json=PAYMENT)).status_code == 201
        for path in ("records", "records/7", "records/stats", "rejects", "rejects/stats", "schema"):
            assert (await client.get(f"/v1/streams/payments/{path}")).status_code == 200
        assert (await client.delete("/v1/streams/payments/records/7")).status_code == 200
        refused = list[httpx.Response]()
        for method, path in _REFUSED:
            refused.append(await client.request(method, path, json=ORDER if method in {"POST", "PUT"} else None))
        assert {answer.status_code for answer in refused} == {403}
        told = (await client.get("/v1/streams/orders/records")).json()["detail"]
        assert told == "partner-a may not use the stream 'orders', but only payments"
        listed = (await client.get("/v1/streams")).json()["streams"]
        assert [each["name"] for each in listed] == ["payments"]


_REFUSED = [
    *(("GET", f"/v1/streams/orders/{path}") for path in ("records", "records/7", "records/a/b", "rejects", "schema")),
    *(("GET", f"/v1/{path}") for path in ("records", "records/7", "records/a/b", "records/stats", "schema")),
    *(("GET", f"/v1/{path}") for path in ("records/tail", "rejects", "rejects/stats", "streams/none/records")),
    *(("POST", f"/v1/{path}") for path in ("records", "streams/orders/records")),
    *((method, f"/v1/{path}") for method in ("PUT", "DELETE") for path in ("records/o1", "streams/orders/records/o/1")),
]


async def test_fixed_filters_hold_in_every_stream_of_the_grant(tmp_path: Path) -> None:
    """They must exist there; and they hide what does not match."""
    grant = {"scopes": ["read", "write"], "filters": {"order_id": "o1"}, "streams": ["orders"]}
    async with market(**settings_of(tmp_path, **grant)) as service:
        client = keyed(service.client)
        for order_id in ("o1", "o2"):
            await client.post("/v1/streams/orders/records", json={**ORDER, "order_id": order_id})
        shown = await client.get("/v1/streams/orders/records", params={"freshness": "latest"})
        assert [each["order_id"] for each in shown.json()["records"]] == ["o1"]
