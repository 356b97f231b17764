"""`explain=true`: what would be asked of the store, instead of asking it."""

import pytest
import sqlglot
from sqlglot import exp

from tests.contract.service import SINCE, WINDOW, Service
from tests.contract.stores import EmbeddedEngine
from tests.contract.watched import Watched


@pytest.fixture
def watched(service: Service) -> Watched:
    """Give what knows of every query."""
    return Watched(service.store.runner)


def test_an_explanation_is_the_query_that_a_page_makes(
    engine: EmbeddedEngine, service: Service, watched: Watched
) -> None:
    """Word for word, with the same parameters; instants are told as instants."""
    client = Service(engine, service.store, runner=watched).client()
    asked = WINDOW | {"source.ne": "a", "timestamp.gte": "2026-01-01T00:00:00Z", "fields": "id", "limit": "5"}
    told = client.get("/v1/records", params=asked | {"explain": "true"}).json()
    assert watched.queries == []
    assert client.get("/v1/records", params=asked).status_code == 200
    (query,) = watched.queries
    plan = engine.loop.run(service.store.runner.explain(query))
    assert told["sql"] == plan.text
    assert set(told["parameters"]) == set(plan.parameters)
    named = {node.name for node in sqlglot.parse_one(told["sql"], read="bigquery").find_all(exp.Parameter)}
    assert set(told["parameters"]) == named
    assert told["parameters"]["from_us"] == SINCE
    assert (told["table"], told["window"]) == ("records", WINDOW)


def test_an_explanation_of_everything_is_of_the_export(service: Service) -> None:
    """One query over the whole window, as BigQuery would be asked, and not the first slice of a page."""
    told = service.client().get("/v1/records", params={**WINDOW, "limit": "all", "explain": "true"}).json()
    assert ("NOT EXISTS" in told["sql"]) is not service.engine.drops_copies
    assert "row_limit" not in told["parameters"]
