"""What cannot be handed over is said before the first request, with what to do about it."""

import pytest

from app.settings.load import SettingsError, load_settings

ENVIRON = {"SLUICE_PUSH_PRINCIPALS": "a@b.example", "SLUICE_PUSH_AUDIENCE": "sluice"}


@pytest.mark.parametrize("variable", ["SLUICE_TRACES", "SLUICE_METRICS"])
def test_the_cloud_needs_a_project(variable: str) -> None:
    """The refusal names the setting; it is the project of the tables."""
    told = ENVIRON | {variable: "cloud"}
    with pytest.raises(SettingsError, match="SLUICE_BIGQUERY_PROJECT"):
        load_settings(told)
    assert load_settings(told | {"SLUICE_BIGQUERY_PROJECT": "tables"}).project == "tables"


def test_metrics_may_go_nowhere_or_to_several() -> None:
    """A list, which may be empty."""
    assert load_settings(ENVIRON | {"SLUICE_METRICS": ""}).telemetry.metrics == ()
    assert load_settings(ENVIRON | {"SLUICE_METRICS": "prometheus, otlp"}).telemetry.metrics == ("prometheus", "otlp")
    with pytest.raises(SettingsError, match="SLUICE_METRICS"):
        load_settings(ENVIRON | {"SLUICE_METRICS": "statsd"})


@pytest.mark.parametrize("system", ["", "Orders", "1st", "a_b", "x" * 64])
def test_a_system_has_a_name_that_fits_a_label(system: str) -> None:
    """So that it can be grouped by."""
    with pytest.raises(SettingsError, match="SLUICE_SYSTEM"):
        load_settings(ENVIRON | {"SLUICE_SYSTEM": system})
