"""What cannot be handed over is said before the first request, with what to do about it."""

import builtins
from typing import Any

import pytest

from app.main import create_app
from app.settings.load import SettingsError, load_settings
from sluice.testing.service import SETTINGS

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


@pytest.mark.parametrize(
    ("changed", "package", "words"),
    [
        ({"traces": "cloud"}, "opentelemetry.exporter.cloud_trace", "SLUICE_TRACES=cloud needs"),
        ({"metrics": ("cloud",)}, "opentelemetry.exporter.otlp", "SLUICE_METRICS=cloud needs"),
    ],
)
def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], package: str, words: str
) -> None:
    """Before the store is opened."""
    really_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith(package):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return really_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    local = {"cloud_trace_url": "http://127.0.0.1:1", "telemetry_location": "europe-west1"}
    settings = SETTINGS.replace(**local, **changed, bigquery_project="p")
    with pytest.raises(SettingsError, match=words) as raised:
        create_app(settings)
    assert package in str(raised.value)
