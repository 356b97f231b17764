"""Metrics for Cloud Monitoring, from the real exporter, against what the service demands of points."""

import asyncio

import pytest

from app.telemetry.instruments import CATALOGUE
from app.telemetry.metrics import Metrics
from app.telemetry.providers import Telemetry
from testing.clock import FakeClock
from testing.service import GOOD, Service, running
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.monitoring_rules import MetricDescriptor
from tests.telemetry.scripted_runner import metered
from tests.telemetry.watched_service import measured

NOT_YET = {"sluice.heartbeat.delay", "sluice.row.expired"}
"""Metrics without a value until a canary was read, or until rows expired."""

PREFIX = "workload.googleapis.com/"
_KINDS = {
    "counter": (MetricDescriptor.CUMULATIVE, {MetricDescriptor.INT64}),
    "gauge": (MetricDescriptor.GAUGE, {MetricDescriptor.INT64, MetricDescriptor.DOUBLE}),
    "histogram": (MetricDescriptor.CUMULATIVE, {MetricDescriptor.DISTRIBUTION}),
}


async def use(service: Service) -> None:
    """Do what most metrics are about."""
    assert (await service.push(GOOD)).status_code == 204
    assert (await service.push({"id": "bad"}, message_id="2")).status_code == 204
    assert (await service.client.get("/v1/records")).status_code == 200


def resources(cloud: CloudServer) -> set[tuple[tuple[str, str], ...]]:
    """Return the labels of the resources that points are of."""
    return {resource for _, _, resource in cloud.rules.series}


async def test_every_metric_is_taken_as_it_is_sent(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds, types, units and labels as the catalogue has them; counts are integers, and 0 is sent; none is refused."""
    metered(monkeypatch, 1_000, {"records": 2})
    async with running(measured(cloud.url)) as service:
        await use(service)
    assert cloud.rules.refused == []
    expected = {PREFIX + each.name: each for each in CATALOGUE if each.name not in NOT_YET}
    assert set(cloud.rules.descriptors) == set(expected)
    for name, instrument in expected.items():
        descriptor = cloud.rules.descriptors[name]
        kind, types = _KINDS[instrument.kind]
        assert (descriptor.metric_kind, descriptor.unit) == (kind, instrument.unit)
        assert descriptor.value_type in types
        assert descriptor.description == instrument.description
        labels = {attribute.replace(".", "_") for attribute in instrument.attributes}
        assert {label.key for label in descriptor.labels} == labels
    assert {name for name, _, _ in cloud.rules.series} == set(expected)
    points = cloud.rules.points
    assert points("sluice.record.stored") == {(): 1}
    assert points("sluice.message.duplicate") == {(): 0}
    assert points("sluice.in_flight.messages") == {(): 0}
    assert points("sluice.record.rejected") == {(("reason", "invalid"),): 1}
    assert points("sluice.append.connections") == {(("table", "records"),): 2}
    assert points("sluice.sink.state")[("state", "ACTIVE"), ("table", "records")] == 1
    rows = points("sluice.append.rows")[("table", "records"),]
    assert (rows.count, rows.mean, list(rows.bucket_counts)[:2]) == (1, 1.0, [1, 0])
    requests = points("http.server.request.duration")
    assert {dict(labels)["http_response_status_code"] for labels in requests} == {"204", "200"}


async def test_instances_do_not_write_each_others_series(cloud: CloudServer) -> None:
    """A task a process, a namespace a system; and what one has written is not written again by another."""
    async with running(measured(cloud.url, system="orders")) as one, running(measured(cloud.url)) as other:
        await use(one)
        await use(other)
    assert cloud.rules.refused == []
    told = [dict(labels) for labels in resources(cloud)]
    assert sorted(each["namespace"] for each in told) == ["orders", "sluice"]
    assert {each["job"] for each in told} == {"sluice"}
    assert len({each["task_id"] for each in told}) == 2
    assert len([key for key in cloud.rules.series if key[0].endswith("sluice.record.stored")]) == 2


async def test_each_collection_goes_on_from_the_one_before(cloud: CloudServer) -> None:
    """By the interval while the service runs, and once more at its end; one that begins later fits in."""
    async with running(measured(cloud.url, metrics_interval_s=1.0)) as service:
        await use(service)
        written = cloud.rules.series
        await asyncio.to_thread(
            cloud.wait_until, lambda: any(key[0].endswith("sluice.record.stored") for key in [*written])
        )
        assert (await service.client.get("/v1/records/a")).status_code == 200
    assert cloud.rules.refused == []
    (stored,) = (points for key, points in cloud.rules.series.items() if key[0].endswith("sluice.record.stored"))
    assert len(stored) >= 2
    assert {point.value for point in stored} == {1}
    assert any("look_up" in str(labels) for name, labels, _ in cloud.rules.series if name.endswith("query.duration"))


async def test_many_series_are_sent_in_parts(cloud: CloudServer) -> None:
    """As many a request as the service takes."""
    async with running(measured(cloud.url)) as service:
        for number in range(450):
            service.app.instance.metrics.query_duration.record(0.1, f"purpose-{number}", "ok")
    assert cloud.rules.refused == []
    assert len(cloud.rules.points("sluice.query.duration")) == 450


def test_an_instance_has_a_name_of_its_own(cloud: CloudServer) -> None:
    """Also within one process."""
    made = [Telemetry(measured(cloud.url), Metrics(), FakeClock()).instance for _ in range(3)]
    assert len(set(made)) == 3
