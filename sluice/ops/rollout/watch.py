"""Watch a revision: its readiness, and the share of its responses that are server errors."""

import urllib.parse
from datetime import datetime
from typing import Any

import msgspec

from sluice.ops.rollout.cloud_run import RolloutError
from sluice.ops.smoke.client import Client, SmokeError

MONITORING_URL = "https://monitoring.googleapis.com"


class Answers(msgspec.Struct, frozen=True):
    """The number of a revision's responses, and how many of them are 5xx."""

    total: int
    errors: int

    @property
    def rate(self) -> float:
        """The error rate."""
        return self.errors / self.total if self.total else 0.0


def why_not_ready(client: Client) -> str:
    """Return why a revision is not ready, as reported at its own URL; "" if it is ready."""
    try:
        answer = client.get("/health/ready", {"strict": "1"}, timeout_s=10)
        if answer.status == 200 and answer.json().get("status") == "ready":
            return ""
    except SmokeError as error:
        return str(error)
    return f"/health/ready of the revision answers {answer.status}: {answer.body[:300].decode(errors='replace')}"


def answers_between(  # noqa: PLR0913 - where, whose, and when
    monitoring_url: str,
    access_token: str,
    *,
    project: str,
    service: str,
    revision: str,
    begun: datetime,
    ended: datetime,
) -> Answers:
    """Return Cloud Run's counts of a revision's responses.

    It counts once a minute and shows a count up to three minutes later
    (https://cloud.google.com/monitoring/api/metrics_gcp_p_z, run.googleapis.com/request_count).

    Raises:
        RolloutError: Cloud Monitoring does not respond, or refuses this caller.
    """
    filter_text = (
        'metric.type = "run.googleapis.com/request_count" AND resource.type = "cloud_run_revision" '
        f'AND resource.labels.service_name = "{service}" AND resource.labels.revision_name = "{revision}"'
    )
    parameters = {"filter": filter_text, "interval.startTime": _instant(begun), "interval.endTime": _instant(ended)}
    path = f"/v3/projects/{urllib.parse.quote(project, safe='')}/timeSeries"
    total = errors = 0
    try:
        client = Client(monitoring_url, access_token)
        while True:
            answer = client.get(path, parameters)
            if answer.status != 200:
                text = answer.body[:300].decode(errors="replace")
                raise RolloutError(
                    f"Cloud Monitoring answers {answer.status}: {text}. It requires the role roles/monitoring.viewer"
                )
            page: dict[str, Any] = answer.json()
            for series in page.get("timeSeries", []):
                count = sum(int(point["value"].get("int64Value", 0)) for point in series["points"])
                total += count
                errors += count if series["metric"]["labels"].get("response_code_class") == "5xx" else 0
            if not page.get("nextPageToken"):
                return Answers(total, errors)
            parameters["pageToken"] = page["nextPageToken"]
    except SmokeError as error:
        raise RolloutError(f"Cloud Monitoring: {error}") from error


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
