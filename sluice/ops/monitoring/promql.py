"""PromQL over the service's own metrics, and over those of Google's services.

Queries are the same on Google Cloud, over a Prometheus scrape, and in Grafana. Our metrics are stored on one resource
(`prometheus_target`), and need no pin. A metric of Google's may have several resources, so each selector pins one
(https://cloud.google.com/monitoring/promql/promql-mapping, "Specifying a monitored resource type").
"""

import msgspec

from app.telemetry.instruments import Instrument

SCOPE = "@scope"
"""Is in each selector of ours for the matcher by which a board chooses systems."""
SYSTEM = "namespace"
"""The label that holds SLUICE_SYSTEM."""


class Foreign(msgspec.Struct, frozen=True):
    """A metric of a service of Google, its only resource here, and the labels that queries may use."""

    type: str
    resource: str
    labels: frozenset[str]

    @property
    def name(self) -> str:
        """Its name in PromQL: the first slash becomes a colon, and all else that is special an underscore."""
        domain, _, path = self.type.partition("/")
        return f"{domain.replace('.', '_')}:{path.replace('/', '_')}"


# Their labels: https://cloud.google.com/monitoring/api/metrics_gcp_p_z (#gcp-pubsub, #gcp-run).
_SUBSCRIPTION = "pubsub_subscription", frozenset({"project_id", "subscription_id"})
_REVISION = "cloud_run_revision", frozenset({"project_id", "location", "service_name", "revision_name"})
OLDEST_UNACKED = Foreign("pubsub.googleapis.com/subscription/oldest_unacked_message_age", *_SUBSCRIPTION)
UNDELIVERED = Foreign("pubsub.googleapis.com/subscription/num_undelivered_messages", *_SUBSCRIPTION)
DEAD_LETTERED = Foreign("pubsub.googleapis.com/subscription/dead_letter_message_count", *_SUBSCRIPTION)
SENT = Foreign("pubsub.googleapis.com/subscription/sent_message_count", *_SUBSCRIPTION)
ACKNOWLEDGED = Foreign("pubsub.googleapis.com/subscription/ack_message_count", *_SUBSCRIPTION)
PUBLISHED = Foreign(
    "pubsub.googleapis.com/topic/send_message_operation_count", "pubsub_topic", frozenset({"project_id", "topic_id"})
)
INSTANCES = Foreign("run.googleapis.com/container/instance_count", *_REVISION)
FOREIGN = (OLDEST_UNACKED, UNDELIVERED, DEAD_LETTERED, SENT, ACKNOWLEDGED, PUBLISHED, INSTANCES)


class UnknownError(ValueError):
    """A query uses a label or a bucket that the metric does not have."""


def ours(instrument: Instrument, *matchers: str, suffix: str = "") -> str:
    """Return a selector of a metric of the service; `suffix` is `_count`, `_sum` or `_bucket` of a histogram.

    Raises:
        UnknownError: the metric lacks the suffix or a label.
    """
    if (suffix in {"_count", "_sum", "_bucket"}) != (instrument.kind == "histogram"):
        raise UnknownError(f"{instrument.name}, a {instrument.kind}, has no {suffix or 'value'}")
    known = {*instrument.attributes, "le"}
    for matcher in matchers:
        label = matcher.replace("!", "=").replace("~", "=").partition("=")[0]
        if label not in known:
            raise UnknownError(f"{instrument.name} has no label {label}")
    return f"{instrument.name}{suffix}{{{', '.join([SCOPE, *matchers])}}}"


def theirs(metric: Foreign, *matchers: str) -> str:
    """Return a selector of a metric of Google's, pinned to its resource."""
    pin = f'monitored_resource="{metric.resource}"'
    return f"{metric.name}{{{', '.join([pin, *matchers])}}}"


def up_to(instrument: Instrument, bound: float) -> str:
    """Return the matcher of the bucket up to `bound`. Engines write a whole bound in one of two ways.

    Raises:
        UnknownError: there is no such bucket.
    """
    if bound not in instrument.bounds:
        raise UnknownError(f"{instrument.name} has no bucket up to {bound:g}")
    return f'le=~"{bound:g}|{bound:g}[.]0"' if bound == int(bound) else f'le="{bound:g}"'


def rate(selector: str, window: str, *by: str) -> str:
    """Return the increase a second over a window, summed up."""
    return f"sum by ({', '.join(by or (SYSTEM,))}) (rate({selector}[{window}]))"


def increase(selector: str, window: str, *by: str) -> str:
    """Return the increase over a window, summed up."""
    return f"sum by ({', '.join(by or (SYSTEM,))}) (increase({selector}[{window}]))"


def scoped(query: str, matcher: str) -> str:
    """Return a query whose selectors of ours have `matcher`; none where it is empty."""
    if matcher:
        return query.replace(SCOPE, matcher)
    return query.replace(f"{SCOPE}, ", "").replace(f"{{{SCOPE}}}", "")
