"""Watch a revision: its readiness, and the share of its responses that are server errors."""

from datetime import UTC, datetime
from urllib.parse import quote

from sluice.ops.rollout.cloud_run import CloudRun, RolloutError
from sluice.ops.smoke.client import Client, SmokeError

MONITORING_URL = "https://monitoring.googleapis.com"


def why_not_ready(client: Client) -> str:
    """Return why a revision is not ready, as reported at its own URL; "" if it is ready."""
    try:
        answer = client.get("/health/ready", {"strict": "1"}, timeout_s=10)
        if answer.status == 200 and answer.json().get("status") == "ready":
            return ""
    except SmokeError as error:
        return str(error)
    return f"/health/ready of the revision answers {answer.status}: {answer.body[:300].decode(errors='replace')}"


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
        answer = Client(MONITORING_URL, place.access_token()).get(
            f"/v3/projects/{quote(place.project, safe='')}/timeSeries", {"filter": filter_text} | interval
        )
        if answer.status != 200:
            text = answer.body[:300].decode(errors="replace")
            raise RolloutError(
                f"Cloud Monitoring answers {answer.status}: {text}. It requires the role roles/monitoring.viewer"
            )
        series = answer.json().get("timeSeries", [])
    except SmokeError as error:
        raise RolloutError(f"Cloud Monitoring: {error}") from error
    total = errors = 0
    for each in series:
        count = sum(int(point["value"].get("int64Value", 0)) for point in each["points"])
        total += count
        errors += count if each["metric"]["labels"].get("response_code_class") == "5xx" else 0
    return total, errors


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
