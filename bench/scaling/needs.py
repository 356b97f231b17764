"""What records come to on their way into the table: processors, instances, requests in flight, connections, bytes.

Pure, but for `measured_costs`, which reads what measurements have found (bench/results). Times are in seconds.
"""

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from bench.places import RESULTS
from bench.scaling import capacity
from bench.scaling.limits import (
    APPENDS_APART_S,
    APPENDS_IN_FLIGHT,
    CONCURRENCY,
    CONNECTION_BYTES_PER_S,
    MAX_CONNECTIONS,
    REJECTS_TABLES,
    REMEMBERED,
)

_CONTENDER = "sluice"


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What a message takes: microseconds of a processor by (bytes of a record, records); the rest is of each row.

    `telemetry_us` comes on top of each message; `latency_s` is how long a message is in the service's hands.
    """

    cpu_us: dict[tuple[int, int], float]
    telemetry_us: float
    row_bytes: int
    latency_s: float

    def of(self, records: int, record_bytes: int = capacity.MESSAGE_BYTES) -> float:
        """Return the microseconds of a message of so many records: measured, or on the line through what was."""
        known = sorted((count, us) for (size, count), us in self.cpu_us.items() if size == record_bytes)
        (fewest, low), (most, high) = known[0], known[-1]
        for count, us in known:
            if count == records:
                return us + self.telemetry_us
        return low + (high - low) / (most - fewest) * (records - fewest) + self.telemetry_us


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a rate of records wants, `records` of them in each message, spread evenly over the streams.

    `bound_by` says what made the instances so many. `connections` are those that the bytes want, at least one for each
    stream; `most_connections` those that the instances may open, rejected records included. `appends_per_s` are at
    most so many; `remembered_s` is how far back an instance knows the copies of a message.
    """

    records_per_s: float
    messages_per_s: float
    processors: float
    instances: int
    bound_by: str
    in_flight: float
    in_flight_each: float
    published_bytes_per_s: float
    appended_bytes_per_s: float
    connections: int
    most_connections: int
    appends_per_s: float
    remembered_s: float


def needs(records_per_s: float, records: int, costs: Costs, streams: int = 1) -> Needs:
    """Return what `records_per_s` records of so many streams want in messages of `records` each."""
    messages_per_s = records_per_s / records
    processors = messages_per_s * costs.of(records) / 1e6
    in_flight = messages_per_s * costs.latency_s  # Little's law
    appended = records_per_s * costs.row_bytes
    wanted = {
        "processor": processors / capacity.USED / capacity.VCPUS,
        "requests in flight": in_flight / CONCURRENCY,
        "connections": appended / (CONNECTION_BYTES_PER_S * MAX_CONNECTIONS),
    }
    bound_by = max(wanted, key=lambda name: wanted[name])
    instances = max(capacity.MIN_INSTANCES, math.ceil(wanted[bound_by]))
    return Needs(
        records_per_s=records_per_s,
        messages_per_s=messages_per_s,
        processors=processors,
        instances=instances,
        bound_by=bound_by if wanted[bound_by] > capacity.MIN_INSTANCES else "there is always one",
        in_flight=in_flight,
        in_flight_each=in_flight / instances,
        published_bytes_per_s=records_per_s * capacity.MESSAGE_BYTES,
        appended_bytes_per_s=appended,
        connections=instances * streams * max(1, math.ceil(appended / instances / streams / CONNECTION_BYTES_PER_S)),
        most_connections=instances * MAX_CONNECTIONS * (streams + REJECTS_TABLES),
        appends_per_s=min(messages_per_s, instances * _most_appends_per_s(streams)),
        remembered_s=REMEMBERED / (messages_per_s / instances),
    )


def _most_appends_per_s(streams: int) -> float:
    """Return how many appends that are not full an instance begins for so many busy streams (app.ingest.dispatcher)."""
    apart_s = APPENDS_APART_S * max(streams, APPENDS_IN_FLIGHT)
    return max(APPENDS_IN_FLIGHT / capacity.ACK_S, streams / min(apart_s, capacity.ACK_S))


def measured_costs(results: Path = RESULTS) -> Costs:
    """Return what was measured, in ingest.json and latency.json."""
    cpu_us = _cpu_us(results)
    base_us = cpu_us[capacity.MESSAGE_BYTES, 1]
    return Costs(
        cpu_us=cpu_us,
        telemetry_us=base_us * (capacity.cost_of_telemetry() - 1),
        row_bytes=capacity.row_bytes(),
        latency_s=capacity.ACK_S + _added_s(results),
    )


def _cpu_us(results: Path) -> dict[tuple[int, int], float]:
    """Return the processor time of a message, by the bytes of a record and their number; as capacity reckons it too."""
    found = dict[tuple[int, int], float]()
    for each in _read(results / "ingest.json")["cells"]:
        if each["contender"] == _CONTENDER and each["case"]["wrapped"]:  # of several, the first is the usual one
            key = (each["case"]["record_bytes"], each["case"]["records"])
            found.setdefault(key, float(each["median"]["cpu_us_per_message"]))
    return found


def _added_s(results: Path) -> float:
    """Return what the service adds to an acknowledgement, at the load that is nearest to what is planned for."""
    cells = [each for each in _read(results / "latency.json")["cells"] if each["contender"] == _CONTENDER]
    nearest = min(cells, key=lambda each: abs(each["load"] - capacity.USED))
    return float(nearest["added_ms"]["p50"]) / 1_000


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
