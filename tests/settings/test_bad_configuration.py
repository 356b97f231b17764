"""The real process, set up wrongly: one readable message for each table, a named state, and no traceback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.record import Record
from app.schema.table import records_table, rejects_table
from tests.long_form import long
from tests.support.process import serving
from tests.table_server import Answer, bigquery_settings, found, no_table, resource_of

RECORDS, REJECTS = records_table(Record), rejects_table()
GOOD = {table.name: found(resource_of(table)) for table in (RECORDS, REJECTS)}


@pytest.mark.parametrize(
    ("answers", "changed", "state", "words"),
    [
        pytest.param(
            GOOD | {"records": no_table("records")},
            {},
            "NOT_FOUND",
            ["my-project.events.records", "SLUICE_BIGQUERY"],
            id="table",
        ),
        pytest.param(
            GOOD,
            {"bigquery_rest_url": "https://127.0.0.1:1"},
            "PERMISSION_DENIED",
            ["/no/such/key.json", "GOOGLE_APPLICATION_CREDENTIALS"],
            id="credentials",
            marks=long,
        ),
    ],
)
async def test_a_wrong_set_up_is_told_once_by_name_and_does_not_end_the_process(
    answers: Mapping[str, Answer],
    changed: Mapping[str, str],
    state: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever reads the log knows what is wrong and where to look, and of what is right nothing is said."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/key.json")
    with bigquery_settings(answers, **changed) as settings:
        async with serving(Path("unused"), **settings) as (service, client):
            ready: dict[str, Any] = {}
            while ready.get("sinks", {}).get("records", {}).get("state") in {None, "ACTIVE"}:
                ready = (await client.get("/health/ready?strict=1")).json()
            assert ready["sinks"]["records"]["state"] == state
            assert all(word in ready["sinks"]["records"]["detail"] for word in words), ready["sinks"]["records"]
            assert (await client.get("/health/ready?strict=1")).status_code == 503
            wrong = [name for name, sink in ready["sinks"].items() if sink["state"] != "ACTIVE"]
            assert await service.terminate() == 0
            assert service.process.stdout is not None
            log = service.said + (await service.process.stdout.read()).decode().splitlines()
            warnings = [msgspec.json.decode(line) for line in log if '"WARNING"' in line or '"ERROR"' in line]
            # The watermarks miss a server for appends, which does not run here.
            about = sorted(each["message"] for each in warnings if each["logger"] != "sluice.watermarks")
            assert [message.split(":")[:2] for message in about] == [[f"table {name}", f" {state}"] for name in wrong]
            assert "Traceback" not in "".join(log)
