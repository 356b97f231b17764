"""What can befall one append: plain values, decided apart from the I/O that carries them out.

The texts are those of BigQuery where they are known from its users' reports; the sources are named beside them.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

Listing = Literal["complete", "incomplete", "empty", "out of range"]
"""Which of the bad rows an answer names: all, only the first, none, or positions that do not exist."""


class Acknowledge(msgspec.Struct, frozen=True, tag=True):
    """Say that the rows are stored."""


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """Answer this request with an error; the stream goes on. `storage_error` names a StorageError in its details."""

    code: str
    message: str
    storage_error: str | None = None


class EndStream(msgspec.Struct, frozen=True, tag=True):
    """End the stream with a status, whatever else is in flight on it. The code OK is a plain end."""

    code: str = "UNAVAILABLE"
    message: str = "the connection is draining"  # github.com/googleapis/google-cloud-go/issues/6595
    storage_error: str | None = None


class Cut(msgspec.Struct, frozen=True, tag=True):
    """Reset the TCP connection."""


class Freeze(msgspec.Struct, frozen=True, tag=True):
    """Let the TCP connection carry nothing more, in either direction, and stay open."""


class Silence(msgspec.Struct, frozen=True, tag=True):
    """Never answer, nor what comes after it on this stream: answers keep the order of the requests."""


class Remark(msgspec.Struct, frozen=True, tag=True):
    """Say something that answers no request, then nothing more."""


Answer = Acknowledge | Refuse | EndStream | Cut | Freeze | Silence | Remark


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls one append; the default is what ought to.

    The rows are stored, if `stores`, after `commit_gate` was opened and `commit_delay_s` passed, and not before
    those of earlier requests are dealt with only if the delays say so: each request commits by itself. The answer
    is given after the commit, after `answer_gate` was opened and `answer_delay_s` passed, and after the answers to
    earlier requests of the stream. With `awaits_commit` False the answer does not wait for the commit. An EndStream
    `at_once` comes as the request arrives, whatever earlier ones wait for. Gates are names that a test opens.
    """

    stores: bool = True
    commit_gate: str = ""
    commit_delay_s: float = 0.0
    awaits_commit: bool = True
    answer_gate: str = ""
    answer_delay_s: float = 0.0
    listing: Listing = "complete"
    answer: Answer = Acknowledge()
    at_once: bool = False


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived: on which connection (counted from 1), which one there (from 1), which of all."""

    connection: int
    number: int
    ordinal: int
    table: str
    ids: tuple[str, ...]
    byte_count: int
    arrival_us: int


Decide = Callable[[Arrival], Fault]
"""What befalls each request as it arrives."""

NONE = Fault()
DRAINING = EndStream()
# github.com/googleapis/python-bigquery-storage/issues/315
RESTARTED = EndStream(
    "ABORTED", "Closing the stream because server is restarted. This is expected and client is advised to reconnect."
)
# github.com/googleapis/java-bigquerystorage/issues/2725
OVERLOADED = EndStream("UNAVAILABLE", "Request 'AppendRows' throttled: Task is overloaded (memory-protection)")
# github.com/googleapis/google-cloud-go/issues/6595
_NO_TOKENS = "Exceeds 'AppendRows throughput' quota, user_id: test (status: INSUFFICIENT_TOKENS)"
QUOTA = Refuse("RESOURCE_EXHAUSTED", _NO_TOKENS)
QUOTA_ENDS_STREAM = EndStream("RESOURCE_EXHAUSTED", _NO_TOKENS)
NOT_FOUND = Refuse("NOT_FOUND", "Requested entity was not found.", "TABLE_NOT_FOUND")
NOT_FOUND_ENDS_STREAM = EndStream("NOT_FOUND", "Requested entity was not found.", "TABLE_NOT_FOUND")
DENIED = EndStream("PERMISSION_DENIED", "Permission 'TABLES_UPDATE_DATA' denied on resource (or it may not exist).")
UNAUTHENTICATED = EndStream("UNAUTHENTICATED", "Request had invalid authentication credentials.")
EXTRA_FIELDS = Refuse(
    "INVALID_ARGUMENT", "Input schema has more fields than BigQuery schema", "SCHEMA_MISMATCH_EXTRA_FIELDS"
)
INTERNAL = Refuse("INTERNAL", "Internal error encountered.")


def not_stored(answer: Answer) -> Fault:
    """Return the fault that stores nothing and answers so."""
    return Fault(stores=False, answer=answer)


def in_turn(*faults: Fault) -> Decide:
    """Return what gives each request the next fault, and none when they are used up."""
    waiting = list(faults)
    return lambda _: waiting.pop(0) if waiting else NONE


def by_connection(*connections: Sequence[Fault]) -> Decide:
    """Return what gives each connection's requests its faults in turn, and none when they are used up."""

    def decide(arrival: Arrival) -> Fault:
        position = arrival.connection - 1
        faults = connections[position] if position < len(connections) else ()
        return faults[arrival.number - 1] if arrival.number <= len(faults) else NONE

    return decide
