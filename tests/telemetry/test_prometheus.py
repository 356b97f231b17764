"""`GET /metrics`, as Prometheus reads it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.telemetry.instruments import CATALOGUE, Instrument
from sluice.testing.service import GOOD, SETTINGS, running
from tests.telemetry.scripted_runner import metered
from tests.telemetry.watched_service import AT_GOOGLE

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Parse = Callable[[str], Iterable[Metric]]


def family_name(instrument: Instrument) -> str:
    """Return what a metric's family is called there: the parsers leave out a counter's suffix."""
    return instrument.name.removesuffix("_total")


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        (OPENMETRICS, f"{OPENMETRICS}; charset=utf-8; escaping=underscores", parse_openmetrics),
    ],
)
async def test_every_metric_can_be_scraped(
    monkeypatch: pytest.MonkeyPatch, accept: str, media_type: str, parse: Parse
) -> None:
    """In both formats, with its type, unit, help and labels, and with nothing that the catalogue does not have."""
    metered(monkeypatch, 1_000, {"records": 2})
    async with running() as service:
        await service.push(GOOD)
        await service.push({"id": "bad"}, message_id="2")
        await service.client.get("/v1/records")
        answer = await service.client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers.get_list("content-type") == [media_type]
    families = {family.name: family for family in parse(answer.text)}
    info = families.pop("target_info" if "target_info" in families else "target")
    assert {sample.labels["service_name"] for sample in info.samples} == {"sluice"}
    expected = {family_name(each): each for each in CATALOGUE}
    assert set(families) == set(expected)
    for name, instrument in expected.items():
        family = families[name]
        assert (family.type, family.documentation) == (instrument.kind, instrument.description)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(instrument.attributes)
            if instrument.kind != "histogram" and not sample.name.endswith("_created"):
                assert sample.name == instrument.name


async def test_metrics_that_go_elsewhere_are_not_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Cloud Monitoring alone there is no such route, in the document neither."""
    told: dict[str, Any] = {"metrics": ("cloud",), **AT_GOOGLE}
    monkeypatch.setattr("app.telemetry.providers._metric_exporters", lambda _: [])
    async with running(SETTINGS.replace(**told)) as service:
        assert (await service.client.get("/metrics")).status_code == 404
        assert "/metrics" not in (await service.client.get("/openapi/openapi.json")).json()["paths"]
