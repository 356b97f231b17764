"""A dlt source: the records of a Sluice service, each once in the destination.

    pipeline = dlt.pipeline("shop", destination="duckdb", dataset_name="shop")
    pipeline.run(sluice("https://sluice.example", token=KEY))

A run loads what has been stored since the last one. The cursor is part of the pipeline's state, which dlt stores with
the load. If a run ends between the two, or while it loads, dlt may load the same records again: they are therefore
merged by `delivery_key`, which is the same for each copy.
"""

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.extract import DltResource

from sluice_client import Client, Feed

_TYPES = {
    "BOOL": "bool",
    "INT64": "bigint",
    "FLOAT64": "double",
    "STRING": "text",
    "BYTES": "text",  # in base64
    "TIMESTAMP": "timestamp",
    "DATE": "date",
    "TIME": "time",
    "JSON": "json",
    "STRUCT": "json",
}


@dlt.source(name="sluice")
def sluice(url: str, *, token: str = "", stream: str = "", since: str = "-P31D") -> DltResource:
    """Return the feed of a stream as a resource; the first run begins at `since`."""
    feed = Feed(stream)
    with Client(url, token=token) as client:
        columns: dict[str, Any] = {
            column.path: _hint(column.kind) for column in client.columns(feed) if "." not in column.path
        }
    records = _pages(url, token, feed, since)
    return dlt.resource(
        records, name=feed.table, primary_key="delivery_key", write_disposition="merge", columns=columns
    )


def _pages(url: str, token: str, feed: Feed, since: str) -> Iterator[list[dict[str, Any]]]:
    state = dlt.current.resource_state()
    with Client(url, token=token) as client:
        for page in client.follow(since, cursor=state.get("cursor", ""), feed=feed, wait_s=0, until_caught_up=True):
            yield page.records
            state["cursor"] = page.resume_cursor


def _hint(kind: str) -> dict[str, Any]:
    if kind == "NUMERIC":
        return {"data_type": "decimal", "precision": 38, "scale": 9}
    return {"data_type": _TYPES[kind]}
