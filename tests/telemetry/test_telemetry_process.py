"""Traces and metrics of the service as a real process: what has arrived when it was told to stop."""

from pathlib import Path

import msgspec

from sluice.testing.service import GOOD, authorization, envelope
from tests.support.process import serving
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.watched_service import EXPORTING, caller

pytestmark = EXPORTING


async def test_what_was_seen_is_handed_over_before_the_process_ends(cloud: CloudServer, tmp_path: Path) -> None:
    """One push, then SIGTERM at once: its spans and the last numbers have arrived."""
    variables = {"bigquery_project": "p", "traces": "cloud", "trace_ratio": "0", "metrics": "cloud"}
    fields: dict[str, float | str] = {
        "cloud_trace_url": cloud.url,
        "cloud_telemetry_url": cloud.otlp.url,
        "telemetry_location": "europe-west1",
        "metrics_interval_s": 3_600.0,
        "shutdown_grace_s": 3.0,
    }
    async with serving(tmp_path / "data.duckdb", fields, **variables) as (process, client):
        body = envelope(msgspec.json.encode(GOOD), "1", caller().attributes)
        assert (await client.post("/pubsub/push", content=body, headers=authorization())).status_code == 204
        assert await process.terminate() == 0
    assert {span.name for span in cloud.spans} == {"process s", "append records"}
    assert cloud.rules.refused == []
    assert cloud.rules.points("sluice_record_stored_total") == {(("stream", "records"),): 1}
    ((_, delay),) = cloud.rules.points("sluice_message_stored_delay_seconds").items()
    assert delay.count == 1
