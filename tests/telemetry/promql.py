"""Says what in a PromQL query Google would refuse, or would never find.

A metric or label that is not there, a selector of one of Google's metrics that leaves its resource open, a bucket that
a histogram does not have, a value that a label never takes.
"""

import re
from collections.abc import Iterator
from typing import Any, get_args

import promql_parser

from app.stores.query import Purpose
from app.stores.sink import SinkState
from app.telemetry.instruments import BY_NAME, Instrument
from sluice.ops.monitoring.promql import FOREIGN

RESOURCE_LABELS = {"project_id", "location", "cluster", "namespace", "job", "instance"}  # prometheus_target's
_VALUES = {
    ("sluice_sink_state", "state"): {state.value for state in SinkState},
    ("sluice_query_duration_seconds", "purpose"): set(get_args(Purpose)),
    ("http_server_request_duration_seconds", "sluice_request_kind"): {"push", "write", "read", "wait", "stream"},
}
_FOREIGN = {metric.name: metric for metric in FOREIGN}
_PLACEHOLDER = re.compile(r"(?<!\$)\$\{(\w+)\}")


def wrong_query(query: str) -> list[str]:
    """Return what is wrong with a query, in a sentence each. Terraform's placeholders may be in it."""
    try:
        expression = promql_parser.parse(_PLACEHOLDER.sub("0", query))
    except ValueError as error:
        return [f"it is no PromQL: {error}"]
    found, _ = _walk(expression)
    return found


def metrics_of(query: str) -> set[str]:
    """Return the names of the metrics that a query selects."""
    names: set[str] = set()

    def visit(expression: Any) -> None:
        if isinstance(expression, promql_parser.VectorSelector):
            names.add(expression.name or "")
        for child in _children(expression):
            visit(child)

    visit(promql_parser.parse(_PLACEHOLDER.sub("0", query)))
    return names


def instrument_of(name: str) -> Instrument | None:
    """Return the metric of the service that a series belongs to; None if there is none."""
    base = re.sub("_(bucket|sum|count)$", "", name)
    instrument = BY_NAME.get(base)
    if instrument is not None and instrument.kind == "histogram":
        return instrument if base != name else None
    return BY_NAME.get(name)


def _walk(expression: Any) -> tuple[list[str], set[str]]:
    """Return what is wrong, and the labels of the series."""
    if isinstance(expression, promql_parser.VectorSelector):
        return _selector(expression)
    found: list[str] = []
    labels: set[str] = set()
    for child in _children(expression):
        wrong, has = _walk(child)
        found += wrong
        labels |= has
    if isinstance(expression, promql_parser.AggregateExpr) and expression.modifier is not None:
        by = list(expression.modifier.labels)
        found += [f"nothing has the label {label}" for label in by if label not in labels]
        labels &= set(by)
    return found, labels


def _children(expression: Any) -> Iterator[Any]:
    for name in ("expr", "lhs", "rhs", "vector_selector", "param", "args"):
        child = getattr(expression, name, None)
        yield from (each for each in (child if isinstance(child, list) else [child]) if each is not None)


def _selector(selector: Any) -> tuple[list[str], set[str]]:
    name = selector.name or ""
    matchers = [(each.name, str(each.op), each.value) for each in selector.matchers.matchers]
    foreign, instrument = _FOREIGN.get(name), instrument_of(name)
    if foreign is not None:
        pin = ("monitored_resource", "MatchOp.Equal", foreign.resource)
        found = [] if pin in matchers else [f"{name} does not pin monitored_resource to {foreign.resource}"]
        labels = {*foreign.labels, "monitored_resource"}
    elif instrument is not None:
        found = []
        labels = {*instrument.attributes, *RESOURCE_LABELS} | ({"le"} if name.endswith("_bucket") else set())
    else:
        return [f"there is no metric {name}"], set()
    found += [f"{name} has no label {label}" for label, _, _ in matchers if label not in labels]
    if instrument is not None:
        found += [wrong for label, _, value in matchers for wrong in wrong_values(instrument, label, value)]
    return found, labels


def wrong_values(instrument: Instrument, label: str, value: str) -> Iterator[str]:
    """Yield what is wrong with what a label is compared to."""
    if label == "le":
        bounds = {float(bound.replace("[.]", ".")) for bound in value.split("|")}
        if len(bounds) != 1 or not bounds <= set(instrument.bounds):
            yield f"{instrument.name} has no bucket up to {value}"
    known = _VALUES.get((instrument.name, label))
    if known is not None:
        yield from (f"{label} is never {one}" for one in value.split("|") if one not in known)
