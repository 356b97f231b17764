"""The mutated modules, each with the tests that must notice."""

from typing import NamedTuple

FLOOR_PERCENT = 90.0


class Module(NamedTuple):
    """A source file, and the glob patterns of its own tests."""

    source: str
    tests: tuple[str, ...]


MODULES = {
    "writer": Module("app/ingest/write/table_writer.py", ("tests/ingest/write/test_*.py",)),
    "retry-policy": Module("app/ingest/write/retry_policy.py", ("tests/ingest/write/test_retry_policy.py",)),
    "dedupe": Module("app/ingest/write/dedupe.py", ("tests/ingest/write/test_dedupe*.py",)),
    "envelope": Module(
        "app/ingest/decode/envelope.py", ("tests/ingest/decode/test_envelope.py", "tests/auth/test_signatures.py")
    ),
    "cursor": Module("app/query/request/cursor.py", ("tests/query/test_cursor.py",)),
    "scan": Module("app/query/request/scan.py", ("tests/query/test_scan.py",)),
    "feed": Module("app/query/read/feed.py", ("tests/query/test_feed*.py", "tests/query/test_budget.py")),
    "tokens": Module("app/auth/tokens.py", ("tests/auth/tokens/test_*.py",)),
    "sink-health": Module(
        "app/ingest/write/health.py", ("tests/ingest/write/test_health*.py", "tests/ingest/write/test_refusals.py")
    ),
    "decoder": Module(
        "app/ingest/decode/reader.py",
        (
            "tests/ingest/decode/test_records*.py",
            "tests/ingest/decode/test_record_versions.py",
            "tests/ingest/test_personal_data.py",
            "tests/ingest/decode/test_one_pass.py",
            "tests/ingest/decode/test_light.py",
            "tests/ingest/decode/test_record_splitter.py",
        ),
    ),
}
