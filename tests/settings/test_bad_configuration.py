"""The real process, set up wrongly: one readable message for each table, a named state, and no traceback."""

from pathlib import Path
from typing import Any

import msgspec

from app.schema.table import rejects_table
from tests.support.process import serving
from tests.table_server import bigquery_settings, found, no_table, resource_of

ANSWERS = {"records": no_table("records"), "records_rejected": found(resource_of(rejects_table()))}


async def test_a_wrong_set_up_is_told_once_by_name_and_does_not_end_the_process() -> None:
    """Whoever reads the log knows what is wrong and where to look, and of what is right nothing is said."""
    with bigquery_settings(ANSWERS) as settings:
        async with serving(Path("unused"), **settings) as (service, client):
            ready: dict[str, Any] = {}
            while ready.get("sinks", {}).get("records", {}).get("state") in {None, "ACTIVE"}:
                ready = (await client.get("/health/ready?strict=1")).json()
            assert ready["sinks"]["records"]["state"] == "NOT_FOUND"
            for word in ("my-project.events.records", "SLUICE_BIGQUERY"):
                assert word in ready["sinks"]["records"]["detail"]
            assert (await client.get("/health/ready?strict=1")).status_code == 503
            assert ready["sinks"]["records_rejected"]["state"] == "ACTIVE"
            assert await service.terminate() == 0
            assert service.process.stdout is not None
            log = service.said + (await service.process.stdout.read()).decode().splitlines()
            warnings = [msgspec.json.decode(line) for line in log if '"WARNING"' in line or '"ERROR"' in line]
            # The watermarks miss a server for appends, which does not run here.
            (about,) = [each["message"] for each in warnings if each["logger"] != "sluice.watermarks"]
            assert about.startswith("table records: NOT_FOUND")
            assert "Traceback" not in "".join(log)
