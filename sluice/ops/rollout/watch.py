"""The share of a revision's responses that are server errors."""

from datetime import UTC, datetime
from urllib.parse import quote

import httpx

from sluice.ops.rollout.cloud_run import CloudRun, RolloutError

MONITORING_URL = "https://monitoring.googleapis.com"
_TIMEOUT_S = 30.0


def responses_since(place: CloudRun, revision: str, begun: datetime) -> tuple[int, int]:
    """Return Cloud Run's counts of a revision's responses: of all, and of those that are 5xx.

    It counts once a minute and shows a count up to three minutes later
    (https://cloud.google.com/monitoring/api/metrics_gcp_p_z, run.googleapis.com/request_count).

    Raises:
        RolloutError: Cloud Monitoring does not respond, or refuses this caller.
    """
    filter_text = (
        'metric.type = "run.googleapis.com/request_count" AND resource.type = "cloud_run_revision" '
        f'AND resource.labels.service_name = "{place.service}" AND resource.labels.revision_name = "{revision}"'
    )
    interval = {"interval.startTime": _instant(begun), "interval.endTime": _instant(datetime.now(UTC))}
    try:
        answer = httpx.get(
            f"{MONITORING_URL}/v3/projects/{quote(place.project, safe='')}/timeSeries",
            params={"filter": filter_text} | interval,
            headers={"Authorization": f"Bearer {place.access_token()}"},
            timeout=_TIMEOUT_S,
        )
        if answer.status_code != 200:
            raise RolloutError(
                f"Cloud Monitoring answers {answer.status_code}: {answer.text[:300]}. It requires the role "
                "roles/monitoring.viewer"
            )
        series = answer.json().get("timeSeries", [])
    except (httpx.TransportError, ValueError) as error:
        raise RolloutError(f"Cloud Monitoring: {error}") from error
    total = errors = 0
    for each in series:
        count = sum(int(point["value"].get("int64Value", 0)) for point in each["points"])
        total += count
        errors += count if each["metric"]["labels"].get("response_code_class") == "5xx" else 0
    return total, errors


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
