"""Metrics for Cloud Monitoring, over OTLP, against what Google's Telemetry API demands."""

import pytest

from app.settings.load import SettingsError
from app.telemetry.instruments import CATALOGUE
from app.telemetry.providers import resource_attributes
from sluice.testing.service import GOOD, Service, running
from tests.support.process import free_port
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.scripted_runner import metered
from tests.telemetry.watched_service import measured, traced

NOT_YET = {"sluice_member_undeclared_total", "sluice_mirror_lag_seconds"}
"""Metrics without a value: until a record had a member that its type does not declare, and of mirrors only."""


async def use(service: Service) -> None:
    """Do what most metrics are about."""
    assert (await service.push(GOOD)).status_code == 204
    assert (await service.push({"id": "bad"}, message_id="2")).status_code == 204
    assert (await service.client.get("/v1/records", headers={"Sluice-Reader": "billing"})).status_code == 200


async def test_every_metric_is_taken_as_it_is_sent(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, kinds, units and labels as the catalogue has them; counts are integers, and 0 is sent; none is refused."""
    metered(monkeypatch, 1_000, {"records": 2})
    async with running(measured(cloud.otlp.url)) as service:
        await use(service)
    assert (cloud.rules.refused, cloud.otlp.unauthorized) == ([], [])
    expected = {each.name: each for each in CATALOGUE if each.name not in NOT_YET}
    assert {key.name for key in cloud.rules.series} == set(expected)
    for key in cloud.rules.series:
        instrument = expected[key.name]
        assert key.kind == instrument.kind
        assert cloud.rules.descriptions[key.name][1:] == (instrument.unit, instrument.description)
        assert {label for label, _ in key.labels} == set(instrument.attributes)
    points = cloud.rules.points
    assert points("sluice_record_stored_total") == {(("stream", "records"),): 1}
    assert points("sluice_in_flight_messages") == {(): 0}
    rows = points("sluice_append_rows")[("table", "records"),]
    assert (rows.count, rows.sum, list(rows.bucket_counts)[:2]) == (1, 1.0, [1, 0])


async def test_metrics_of_objectives_are_written_before_anything_happens(cloud: CloudServer) -> None:
    """An objective on a metric that was never written cannot be created."""
    async with running(measured(cloud.otlp.url)):
        pass
    assert cloud.rules.refused == []
    for instrument in CATALOGUE:
        for values in instrument.starts:
            labels = tuple(sorted(zip(instrument.attributes, map(str, values), strict=True)))
            written = cloud.rules.points(instrument.name)[labels]
            assert getattr(written, "count", written) == 0


async def test_instances_do_not_write_each_others_series(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance a process, a namespace a system; on Cloud Run a cluster of its own."""
    monkeypatch.setenv("K_SERVICE", "sluice")
    async with (
        running(measured(cloud.otlp.url, system="orders")) as one,
        running(measured(cloud.otlp.url)) as other,
    ):
        await use(one)
        await use(other)
    assert cloud.rules.refused == []
    told = [dict(resource) for resource in {key.resource for key in cloud.rules.series}]
    assert sorted(each["namespace"] for each in told) == ["orders", "sluice"]
    assert {(each["location"], each["cluster"]) for each in told} == {("europe-west1", "__run__")}
    assert len({each["instance"] for each in told}) == 2
    assert len([key for key in cloud.rules.series if key.name == "sluice_record_stored_total"]) == 2


async def test_many_series_are_sent_in_parts(cloud: CloudServer) -> None:
    """As many points a request as the API takes."""
    async with running(measured(cloud.otlp.url)) as service:
        for number in range(450):
            service.app.instance.metrics.query_duration.record(0.1, f"purpose-{number}", "ok")
    assert cloud.rules.refused == []
    assert len(cloud.rules.points("sluice_query_duration_seconds")) == 451  # and the one that is there from the start


async def test_traces_can_go_the_same_way(cloud: CloudServer) -> None:
    """By one setting, with the same credentials."""
    settings = traced("", traces="cloud-otlp", cloud_telemetry_url=cloud.otlp.url, trace_ratio=1.0)
    async with running(settings) as service:
        await use(service)
    assert cloud.otlp.unauthorized == []
    (resource, *_) = (spans.resource for request in cloud.otlp.traces for spans in request.resource_spans)
    told = {each.key: each.value.string_value for each in resource.attributes}
    assert (told["gcp.project_id"], told["service.name"], told["service.namespace"]) == ("p", "sluice", "sluice")
    names = {
        span.name
        for request in cloud.otlp.traces
        for spans in request.resource_spans
        for scope in spans.scope_spans
        for span in scope.spans
    }
    assert {"process s", "append records", "GET /v1/records"} <= names


def test_without_a_metadata_server_there_is_no_region_and_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop there is none; the refusal names the settings and what to use instead."""
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{free_port()}")
    with pytest.raises(SettingsError, match=r"SLUICE_METRICS=cloud .* elsewhere, send them to a collector \(otlp\)"):
        resource_attributes(measured("http://127.0.0.1:1", telemetry_location=""))
