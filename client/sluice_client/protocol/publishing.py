"""Sending records: in parts that one request may carry, each with its own Idempotency-Key.

The service recognises a repeated request for 15 minutes by default, so a request is repeated for less than that.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from sluice_client.errors import ProblemError, ResponseError
from sluice_client.protocol.effects import Emit, Reply, Request, Steps
from sluice_client.protocol.problems import Problem
from sluice_client.protocol.requests import Feed, publish_request
from sluice_client.protocol.retry import RetryPolicy, ask

LONGEST_PATIENCE_S = 600.0
"""How long a request may be repeated: less than SLUICE_DEDUPE_LOOKBACK_S (900 s)."""
_PART_RECORDS, _PART_BYTES = 500, 1_048_576
_INDEX = re.compile(r"\[(\d+)\]")


class Published(msgspec.Struct, frozen=True):
    """What became of one record: `status` is "stored", or "rejected" for the `reason` and with the `detail`.

    `index` is its place among the records that were given. A rejected record is kept by the service, among the rejects.
    """

    index: int
    status: str
    delivery_key: str | None = None
    id: Any = None
    reason: str | None = None
    field: str | None = None
    detail: str | None = None

    @property
    def is_stored(self) -> bool:
        """Whether readers will see it."""
        return self.status == "stored"


class _Results(msgspec.Struct):
    records: list[Published] = []
    results: list[Published] = []


def publish(feed: Feed, records: Iterable[Any], idempotency_key: str, policy: RetryPolicy) -> Steps[Published, None]:
    """Send records, and emit what became of each. The same records under the same key are stored once.

    Raises:
        ProblemError, UnreachableError, ResponseError: as `ask`; not results. Earlier parts are stored then.
    """
    begin = 0
    for number, part in enumerate(parts(records)):
        body = b"[" + b",".join(part) + b"]"
        results = yield from _send(publish_request(feed, body, f"{idempotency_key}-{number}"), policy, len(part))
        for result in results:
            yield Emit(msgspec.structs.replace(result, index=begin + result.index))
        begin += len(part)


def bounded(policy: RetryPolicy) -> RetryPolicy:
    """Return the policy with no more patience than the service has memory."""
    given_s = LONGEST_PATIENCE_S if policy.patience_s is None else policy.patience_s
    return msgspec.structs.replace(policy, patience_s=min(given_s, LONGEST_PATIENCE_S))


def parts(records: Iterable[Any]) -> Iterator[list[bytes]]:
    """Yield encoded records, as many at a time as one request carries."""
    part, size = list[bytes](), 0
    for record in records:
        encoded = msgspec.json.encode(record)
        if part and (len(part) == _PART_RECORDS or size + len(encoded) > _PART_BYTES):
            yield part
            part, size = [], 0
        part.append(encoded)
        size += len(encoded)
    if part:
        yield part


def _send(request: Request, policy: RetryPolicy, count: int) -> Steps[Published, list[Published]]:
    try:
        reply: Reply = yield from ask(request, bounded(policy))
    except ProblemError as error:
        if error.problem.code != "rejected":
            raise
        return _all_rejected(error.problem, count)
    try:
        answer = msgspec.json.decode(reply.content, type=_Results)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResponseError(f"the response does not say what became of the records: {error}") from error
    return answer.records or answer.results


def _all_rejected(problem: Problem, count: int) -> list[Published]:
    details = dict[int, list[str]]()
    for fault in problem.errors:
        position = _INDEX.match(fault.name)
        details.setdefault(int(position[1]) if position else 0, []).append(fault.message)
    return [
        Published(index, "rejected", detail="; ".join(details.get(index, [problem.detail]))) for index in range(count)
    ]
