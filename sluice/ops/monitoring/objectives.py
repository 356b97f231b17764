"""What is promised: each objective, as a ratio of bad events to all, and as Cloud Monitoring counts it."""

from collections.abc import Callable
from typing import Any

import msgspec

from app.telemetry import instruments as i
from app.telemetry.instruments import Instrument
from sluice.ops.monitoring.promql import ours, rate, up_to

Count = Callable[[Callable[[str], str]], str]
"""Makes a query of a number of events; its argument makes `rate(…)` or `increase(…)` of a selector."""
API = 'sluice_request_kind=~"read|write"'
QUERIED = ('outcome!="cancelled"', 'purpose!="export"')
PROMETHEUS = "prometheus.googleapis.com"


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """`goal` of all events are good. `pages` tells whether a fast burn wakes the person on call.

    `quiet` is the fewest bad events that are an incident: one slow response in a quiet night is none. `promise` says in
    an alert what the title says in a board, where the title is too short for that.
    """

    name: str
    title: str
    burning: str
    goal: float
    pages: bool
    bad: Count
    all: Count
    sli: dict[str, Any]
    quiet: int = 10
    promise: str = ""


def _counted(instrument: Instrument, *matchers: str) -> Count:
    suffix = "_count" if instrument.kind == "histogram" else ""
    return lambda of: of(ours(instrument, *matchers, suffix=suffix))


def _slow(instrument: Instrument, bound: float, *matchers: str) -> Count:
    within = ours(instrument, *matchers, up_to(instrument, bound), suffix="_bucket")
    return lambda of: f"{_counted(instrument, *matchers)(of)} - {of(within)}"


def _filter(instrument: Instrument, *conditions: str) -> str:
    terms = [
        f'metric.type="{PROMETHEUS}/{instrument.name}/{instrument.kind}"',
        'resource.type="prometheus_target"',
        'resource.labels.namespace="${system}"',
    ]
    return " AND ".join([*terms, *conditions])


def _cut(instrument: Instrument, bound: float, *conditions: str) -> dict[str, Any]:
    return {
        "distribution_cut": {"distribution_filter": _filter(instrument, *conditions), "range": {"max": bound}},
    }


_BEATS, _MISSED = _counted(i.CANARY_DELAY), _counted(i.CANARY_MISSED)
_RUN = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
_THIS_SERVICE = f'{_RUN} AND resource.labels.service_name="${{service_name}}"'

OBJECTIVES = (
    Objective(
        name="stored-in-time",
        title="99 % of messages are stored within 5 s of their publication",
        burning="Messages are stored late",
        goal=0.99,
        pages=True,
        bad=_slow(i.PUBLISH_TO_STORED, 5),
        all=_counted(i.PUBLISH_TO_STORED),
        sli=_cut(i.PUBLISH_TO_STORED, 5),
    ),
    Objective(
        name="stored-not-rejected",
        title="99 % of records are stored rather than rejected",
        burning="Records are rejected",
        goal=0.99,
        pages=False,
        bad=_counted(i.RECORDS_REJECTED),
        all=lambda of: f"{of(ours(i.RECORDS_STORED))} + {of(ours(i.RECORDS_REJECTED))}",
        sli={
            "good_total_ratio": {
                "good_service_filter": _filter(i.RECORDS_STORED),
                "bad_service_filter": _filter(i.RECORDS_REJECTED),
            }
        },
    ),
    Objective(
        name="api-available",
        title="99.9 % of requests are answered without a 5xx",
        burning="The API answers with errors",
        promise="99.9 % of requests of the API are answered without a 5xx",
        goal=0.999,
        pages=True,
        bad=_counted(i.REQUEST_DURATION, API, 'http_response_status_code=~"5.."'),
        all=_counted(i.REQUEST_DURATION, API),
        sli={
            "good_total_ratio": {
                "total_service_filter": _THIS_SERVICE,
                "bad_service_filter": f'{_THIS_SERVICE} AND metric.labels.response_code_class="5xx"',
            }
        },
    ),
    Objective(
        name="api-in-time",
        title="95 % of requests of the API are answered within 300 ms",
        burning="The API is slow",
        goal=0.95,
        pages=False,
        bad=_slow(i.REQUEST_DURATION, 0.3, API),
        all=_counted(i.REQUEST_DURATION, API),
        sli=_cut(i.REQUEST_DURATION, 0.3, 'metric.labels.sluice_request_kind=one_of("read", "write")'),
    ),
    Objective(
        name="queries-in-time",
        title="98 % of queries are answered by the store within 2 s",
        burning="Queries are slow",
        goal=0.98,
        pages=False,
        bad=_slow(i.QUERY_DURATION, 2, *QUERIED),
        all=_counted(i.QUERY_DURATION, *QUERIED),
        sli=_cut(i.QUERY_DURATION, 2, 'metric.labels.outcome!="cancelled"', 'metric.labels.purpose!="export"'),
    ),
    Objective(
        name="visible-in-time",
        title="99 % of heartbeats are readable from the feed within 1 minute",
        burning="Records become visible late",
        goal=0.99,
        pages=True,
        bad=lambda of: (
            f"{_BEATS(of)} + {_MISSED(of)} - {of(ours(i.CANARY_DELAY, up_to(i.CANARY_DELAY, 60), suffix='_bucket'))}"
        ),
        all=lambda of: f"{_BEATS(of)} + {_MISSED(of)}",
        sli=_cut(i.CANARY_DELAY, 60),
        quiet=0,  # they are one a minute
    ),
)


def ratio(objective: Objective, window: str) -> str:
    """Return the part of events that is bad, over a window."""

    def of(selector: str) -> str:
        return rate(selector, window)

    return f"(\n  ({objective.bad(of)})\n  / ({objective.all(of)})\n)"
