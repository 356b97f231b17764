"""Bodies inside every documented limit that become something large. Pure: each function returns one request."""

import base64
import gzip
import math
from collections.abc import Callable, Mapping

import msgspec

from sluice.testing.service import envelope

TIME = "2026-01-31T12:00:00Z"
_RECORD_BYTES = 4 * 1024 * 1024 - 1_024
"""Just below SLUICE_MAX_RECORD_BYTES."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request, whose caller is added by who sends it: `caller` is `push`, the name of a key's holder, or empty."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    caller: str = ""


def push(data: bytes, number: int, attributes: Mapping[str, str] = {}, *, stem: str = "attack") -> Request:
    """Return a wrapped push of `data`, whose message id is made of `stem` and `number`."""
    body = envelope(data, f"{stem}-{number}", dict(attributes))
    return Request(
        method="POST", path="/pubsub/push", body=body, headers={"Content-Type": "application/json"}, caller="push"
    )


def small(number: int, stem: str) -> Request:
    """Return what a well-behaved producer pushes: one record of some hundred bytes, whose id is the message's."""
    record = {"id": f"{stem}-{number}", "timestamp": TIME, "source": "neighbour", "data": {"n": number}}
    return push(msgspec.json.encode(record), number, stem=stem)


def rejects_with_attributes(number: int) -> Request:
    """Return 8,000 records that are `{}`, with 100 attributes of 1 KB: 130 KB."""
    return push(_array([b"{}"] * 8_000), number, {f"attribute-{n}": "x" * 1_024 for n in range(100)})


def rejects_from_a_few_bytes(_: int) -> Request:
    """Return about a hundred bytes of gzip that are 20,000 lines, each of which is rejected."""
    body = gzip.compress(b"1\n" * 20_000, mtime=0)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    return Request(method="POST", path="/v1/records", body=body, headers=headers, caller="attacker-write")


def gzip_of_arrays(number: int) -> Request:
    """Return seven records of 4 MiB of `[[],[],…]`: about 30 KB of gzip."""
    data = b"[" + b",".join([b"[]"] * ((_RECORD_BYTES - 100) // 3)) + b"]"
    return _zipped([_record(f"arrays-{number}-{n}", data) for n in range(7)], number)


def gzip_of_depth(number: int) -> Request:
    """Return 20,000 records that are 700 levels deep: 84 KB of gzip."""
    data = b"[" * 700 + b"]" * 700
    return _zipped([_record(f"deep-{number}", data)] * 20_000, number)


def gzip_of_geojson(number: int) -> Request:
    """Return 28 MiB of coordinates of a route that repeats, as seven records: about 130 KB of gzip."""
    route = [[round(8 + math.cos(n / 7), 5), round(47 + math.sin(n / 7), 5)] for n in range(20)]
    line = msgspec.json.encode({"type": "LineString", "coordinates": route})
    feature = b'{"type":"Feature","properties":{"name":"route"},"geometry":' + line + b"}"
    features = b",".join([feature] * ((_RECORD_BYTES - 1_000) // (len(feature) + 1)))
    data = b'{"type":"FeatureCollection","features":[' + features + b"]}"
    return _zipped([_record(f"route-{number}-{n}", data) for n in range(7)], number)


def large_record(number: int) -> Request:
    """Return one record of 3.9 MB."""
    return push(_record(f"large-{number}", b'"' + b"x" * 3_900_000 + b'"'), number)


def page_of_records(number: int) -> Request:
    """Return 25 records of 40 KB, to be read as pages that are large."""
    return push(_array([_record(f"page-{number}-{n}", b'"' + b"y" * 40_000 + b'"') for n in range(25)]), number)


def forged_tokens(number: int) -> Request:
    """Return a push with 24 KB of a token whose key nobody knows, another one each time."""
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT","kid":"%d"}' % number).rstrip(b"=").decode()
    token = f"{head}.{'e' * 24_000}.{number:020d}{'c' * 300}"
    request = small(number, "forged")
    return msgspec.structs.replace(request, caller="", headers={**request.headers, "Authorization": f"Bearer {token}"})


def _record(record_id: str, data: bytes) -> bytes:
    return b'{"id":"%s","timestamp":"%s","data":%s}' % (record_id.encode(), TIME.encode(), data)


def _array(records: list[bytes]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _zipped(records: list[bytes], number: int) -> Request:
    return push(gzip.compress(_array(records), mtime=0), number, {"content-encoding": "gzip"})


PAYLOADS: Mapping[str, Callable[[int], Request]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        rejects_with_attributes,
        rejects_from_a_few_bytes,
        gzip_of_arrays,
        gzip_of_depth,
        gzip_of_geojson,
        large_record,
        page_of_records,
        forged_tokens,
    )
}
