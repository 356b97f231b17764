"""Before: the locations of service and data agree, and the quotas suffice for the rate that was named. Pure."""

from collections.abc import Callable, Iterator, Sequence

from sluice.ops.preflight.check import Ask
from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment, settings_trouble
from sluice.ops.preflight.project import USAGE

MESSAGES_PER_CPU = 1_000
"""A cautious figure: docs/performance.md measures several times as many."""
ENVELOPE_BYTES = 300
"""What the envelope's columns add to a row, and the attributes to a message."""
_MULTI_REGIONS = {"EU": "europe-", "US": "us-"}
_APPENDS = "bigquerystorage.googleapis.com/write/append_bytes"
_PUSHES = "pubsub.googleapis.com/regionalpushsubscriber"
_CPUS = "run.googleapis.com/cpu_allocation"
_WIDE_CONNECTIONS, _REGIONAL_CONNECTIONS = 10_000, 1_000
"""For appends, in EU or US and in a region: https://cloud.google.com/bigquery/quotas#write-api-limits."""
_RAISE = "https://console.cloud.google.com/iam-admin/quotas"


def _location_questions(deployment: Deployment) -> Sequence[Question]:
    place = f"projects/{deployment.project}"
    return [
        Question("run.googleapis.com", f"v1/{place}/locations"),
        Question("bigquery.googleapis.com", f"bigquery/v2/{place}/datasets/{deployment.dataset_id}"),
    ]


def judge_locations(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the region exists, that the data is near it, and that an existing dataset is where it should be.

    An answer that cannot be read does not count; then two names are compared.

    https://cloud.google.com/run/docs/reference/rest/v1/projects.locations/list,
    https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset
    """
    regions, dataset = answers
    region, location = deployment.region, deployment.location
    known = {str(each.get("locationId")) for each in regions.body.get("locations", ())}
    if regions.is_good and region not in known:
        return Failed(f"Cloud Run has no region {region}", "correct `region`: `gcloud run regions list`")
    near = _MULTI_REGIONS.get(location.upper(), location.lower())
    if not region.startswith(near):
        return Failed(
            f"the service is in {region}, and its data in {location}: every append and every query goes that far",
            f"choose a `location` with {region} in it, or {region} itself; it can never be changed",
        )
    actual = str(dataset.body.get("location", "")) if dataset.is_good else ""
    if actual and actual.upper() != location.upper():
        return Failed(
            f"the dataset {deployment.dataset_id} exists, in {actual}, and `location` is {location}",
            f'write location = "{actual}", or name another `dataset`',
        )
    return Held(f"the service in {region}, the data in {location}")


def _quota_questions(service: str) -> Callable[[Deployment], Sequence[Question]]:
    def questions(deployment: Deployment) -> Sequence[Question]:
        path = f"v1beta1/projects/{deployment.project}/services/{service}/consumerQuotaMetrics"
        return [Question(USAGE, path, query=(("view", "FULL"),))] if deployment.rate else []

    return questions


def _limits(answer: Answer, metrics: Sequence[str], region: str) -> Iterator[tuple[str, float]]:
    """Yield the unit and the value of each limit of the metrics that is in force in a region.

    https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services.consumerQuotaMetrics. A bucket with
    dimensions is for those only, and goes before the one without.
    """
    for metric in answer.body.get("metrics", ()):
        if metric.get("metric") not in metrics:
            continue
        for limit in metric.get("consumerQuotaLimits", ()):
            buckets = {(each.get("dimensions") or {}).get("region", ""): each for each in limit.get("quotaBuckets", ())}
            bucket = buckets.get(region) or buckets.get("")
            if bucket is not None and "effectiveLimit" in bucket:
                yield str(limit.get("unit", "")), float(bucket["effectiveLimit"])


def _per_second(unit: str, value: float) -> float:
    return value / 60 if "/min" in unit else value


def _least(limits: Sequence[float]) -> float | None:
    granted = [value for value in limits if value >= 0]  # -1: unlimited
    return min(granted) if granted else None


def _needed_mb(deployment: Deployment) -> float:
    """Return the megabytes a second of the named rate."""
    return (deployment.rate or 0) * (deployment.record_bytes + ENVELOPE_BYTES) / 1e6


_NO_RATE = NotLooked("no rate was named: give --rate 1000/s")


def judge_appends(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the bytes a second that the Storage Write API accepts: https://cloud.google.com/bigquery/quotas."""
    if not deployment.rate:
        return _NO_RATE
    metric = _APPENDS + {"EU": "_eu", "US": ""}.get(deployment.location.upper(), "_region")
    limits = _limits(answers[0], [metric], deployment.location.lower())
    limit = _least([_per_second(unit, value) for unit, value in limits])
    return _compared("appends", _needed_mb(deployment), None if limit is None else limit / 1e6, "MB/s", metric)


def judge_connections(deployment: Deployment, _: Sequence[Answer]) -> Finding:
    """Check the connections for appends that all instances may open, as Terraform does; it needs no rate.

    Each table has its own: that of each stream, and that of the rejects (docs/scaling.md, "Several streams"). No quota
    of Service Usage is read, as the name of its metric is not known for certain.
    """
    streams = max(deployment.planned_streams, len(deployment.streams))
    each = deployment.connections_per_table
    if deployment.environ is not None and not settings_trouble(deployment):
        each = deployment.settings.store.bigquery_max_connections
    of_marks = 0 if deployment.settings.store.watermarks == "off" else 1
    needed = deployment.max_instances * ((streams + 1) * each + of_marks)
    is_wide = deployment.location.upper() in _MULTI_REGIONS
    granted = deployment.append_connections or (_WIDE_CONNECTIONS if is_wide else _REGIONAL_CONNECTIONS)
    counted = f"{deployment.max_instances} instances, {streams + 1} tables, {each} each"
    counted += ", and one for watermarks" if of_marks else ""
    if needed > granted:
        return Failed(
            f"the instances may open {needed:,} connections for appends ({counted}), and BigQuery takes {granted:,} "
            f"in {deployment.location}",
            f"lower instances.max or SLUICE_BIGQUERY_MAX_CONNECTIONS (settings), or request more at {_RAISE} and say "
            "so in append_connections",
        )
    return Held(f"{needed:,} of {granted:,} connections for appends, at most ({counted})")


def judge_pushes(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the kB a minute that Pub/Sub pushes in a region: https://cloud.google.com/pubsub/quotas."""
    if not deployment.rate:
        return _NO_RATE
    limits = [_per_second(unit, value) for unit, value in _limits(answers[0], [_PUSHES], deployment.region)]
    limit = _least(limits)
    return _compared("pushes", _needed_mb(deployment), None if limit is None else limit / 1e3, "MB/s", _PUSHES)


def judge_cpus(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the processors that Cloud Run allots in a region, in thousandths: https://cloud.google.com/run/quotas."""
    if not deployment.rate:
        return _NO_RATE
    allowed = deployment.max_instances * deployment.cpu
    needed = deployment.rate / MESSAGES_PER_CPU
    if needed > allowed:
        return Failed(
            f"{deployment.rate:g} messages/s need {needed:g} processors, and `instances` allows {allowed}",
            f"raise instances.max to {-(-int(needed) // deployment.cpu) + 1}, or `cpu`",
        )
    limits = _limits(answers[0], [_CPUS], deployment.region)
    limit = _least([value / 1000 for _, value in limits])
    return _compared("instances", float(allowed), limit, "processors", _CPUS)


def _compared(what: str, needed: float, limit: float | None, unit: str, metric: str) -> Finding:
    if limit is None:
        return NotLooked(f"Service Usage lists no limit {metric} there")
    if needed > limit:
        return Failed(
            f"{what} need {needed:,.4g} {unit}, and the quota {metric} is {limit:,.4g} {unit}",
            f"request more at {_RAISE}, or plan for a lower rate",
        )
    return Held(f"{what} need {needed:,.4g} of the {limit:,.4g} {unit} that the quota allows")


CHECKS = (
    Ask(
        name="locations",
        phase="before",
        needs="nothing",
        about="the region exists, and the data is near the service",
        questions=_location_questions,
        verdict=judge_locations,
        tolerates=True,  # before the first apply neither API may be enabled
    ),
    Ask(
        name="quota-appends",
        phase="before",
        needs="nothing",
        about="the Storage Write API accepts the bytes of --rate",
        questions=_quota_questions("bigquerystorage.googleapis.com"),
        verdict=judge_appends,
    ),
    Ask(
        name="connections",
        phase="before",
        needs="nothing",
        about="BigQuery takes the connections for appends that all instances may open to the tables of all streams",
        questions=lambda _: (),
        verdict=judge_connections,
    ),
    Ask(
        name="quota-pushes",
        phase="before",
        needs="nothing",
        about="Pub/Sub pushes the bytes of --rate",
        questions=_quota_questions("pubsub.googleapis.com"),
        verdict=judge_pushes,
    ),
    Ask(
        name="quota-instances",
        phase="before",
        needs="nothing",
        about="Cloud Run allots the processors of all instances, and these suffice for --rate",
        questions=_quota_questions("run.googleapis.com"),
        verdict=judge_cpus,
    ),
)
