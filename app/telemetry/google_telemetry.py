"""Google's Telemetry API: OTLP over HTTP with Application Default Credentials.

What it demands: https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics (resource attributes) and
https://docs.cloud.google.com/stackdriver/quotas (points in a request). The packages are imported only if it is used.
"""

import os
from typing import Any
from urllib.request import Request, urlopen

from app.settings.load import Settings, SettingsError

MAX_POINTS = 200
"""Data points that one request may have."""
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_METADATA_WITHIN_S = 3.0


def is_used(settings: Settings) -> bool:
    """Return whether traces or metrics go there."""
    return "cloud" in settings.telemetry.metrics or settings.telemetry.traces == "cloud-otlp"


def authorized_session(settings: Settings) -> Any:
    """Return a session of `requests` that adds a token, and renews it before it expires.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=_SCOPES)
    session = AuthorizedSession(credentials)
    # The project whose quota is used, and which must have the API enabled.
    session.headers["x-goog-user-project"] = settings.project
    return session


def resource_attributes(settings: Settings) -> dict[str, str]:
    """Return the attributes of this process that become the resource `prometheus_target`; a point needs a location.

    Raises:
        SettingsError: nothing tells the location.
    """
    on_cloud_run = {"cloud.platform": "gcp_cloud_run"} if "K_SERVICE" in os.environ else {}
    return {
        "cloud.provider": "gcp",
        "cloud.region": settings.telemetry.telemetry_location or _own_region(),
        "gcp.project_id": settings.project,
        **on_cloud_run,
    }


def _own_region() -> str:
    """Return the region that the metadata server names, in the form projects/NUMBER/regions/REGION."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")  # as google.auth finds it
    request = Request(f"http://{host}/computeMetadata/v1/instance/region", headers={"Metadata-Flavor": "Google"})
    try:
        with urlopen(request, timeout=_METADATA_WITHIN_S) as response:  # noqa: S310 - always http
            region: str = response.read().decode()
    except OSError as error:
        raise SettingsError(
            "SLUICE_METRICS=cloud and SLUICE_TRACES=cloud-otlp need an instance on Google Cloud, whose metadata server "
            f"names the region ({type(error).__name__}); elsewhere, send them to a collector (otlp)"
        ) from error
    return region.rpartition("/")[2]
