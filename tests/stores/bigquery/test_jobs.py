"""Every job carries its guards, and there is one place that makes jobs."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.runtime.instants import MAX_US, MIN_US
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.cost_limits import job_configuration
from app.stores.query import Purpose, Scalar
from app.stores.sql.statement import Statement
from tests.stores.bigquery.rest_server import DATASET, PROJECT, SETTINGS

APP = Path(__file__).parents[3] / "app"
# What makes or runs a job with Google's client library.
_MAKES_JOBS = re.compile(r"JobConfig\b|_and_wait\(|client\(?\)?\.query\(|\.(load|extract|copy)_table|api_request")


def resource(purpose: Purpose = "page", **parameters: Scalar) -> dict[str, Any]:
    """Return the job's configuration as it is sent."""
    statement = Statement(sql="SELECT 1", parameters=parameters, purpose=purpose)
    return job_configuration(statement, TableAddress.of(SETTINGS.store), SETTINGS)


@pytest.mark.parametrize(
    ("purpose", "max_bytes", "timeout_ms"),
    [
        ("page", SETTINGS.query.query_max_bytes_billed, 30_000),
        ("look_up", SETTINGS.query.look_up_max_bytes_billed, 30_000),
        ("export", SETTINGS.query.query_max_bytes_billed, 300_000),
    ],
)
def test_a_job_has_all_its_guards(purpose: Purpose, max_bytes: int, timeout_ms: int) -> None:
    """The bytes and the time that its purpose allows, whom it is billed to, and where its tables are."""
    found = resource(purpose)
    assert found["query"]["maximumBytesBilled"] == str(max_bytes)
    assert found["jobTimeoutMs"] == str(timeout_ms)
    assert found["labels"] == {"service": "sluice", "purpose": purpose}
    assert found["query"]["defaultDataset"] == {"projectId": PROJECT, "datasetId": DATASET}
    assert found["query"]["useLegacySql"] is False


@pytest.mark.parametrize(
    ("name", "value", "type_", "text"),
    [
        ("limit", 5, "INT64", "5"),
        ("big", -(2**63), "INT64", str(-(2**63))),
        ("from_us", 1_700_000_000_000_001, "TIMESTAMP", "2023-11-14 22:13:20.000001+00:00"),
        ("from_us", MIN_US, "TIMESTAMP", "0001-01-01 00:00:00+00:00"),
        ("from_us", MAX_US, "TIMESTAMP", "9999-12-31 23:59:59.999999+00:00"),
        ("flag_us", True, "BOOL", "true"),
        ("flag", False, "BOOL", "false"),
        ("share", 1.5, "FLOAT64", "1.5"),
        ("id", "é'\n", "STRING", "é'\n"),
        ("key", b"\x00\xff", "BYTES", "AP8="),
    ],
)
def test_a_parameter_has_the_type_of_its_value(name: str, value: Scalar, type_: str, text: Any) -> None:
    """An integer whose name ends in _us is an instant, exact to the microsecond; nothing is in the text of the SQL."""
    parameters: Any = {name: value}
    found = resource(**parameters)["query"]
    assert found["parameterMode"] == "NAMED"
    (parameter,) = found["queryParameters"]
    assert parameter == {"name": name, "parameterType": {"type": type_}, "parameterValue": {"value": text}}


def test_nobody_else_makes_jobs() -> None:
    """A job that is made elsewhere would have no guards."""
    makers = [path.relative_to(APP).as_posix() for path in APP.rglob("*.py") if _MAKES_JOBS.search(path.read_text())]
    assert makers == ["stores/bigquery/jobs.py"]
