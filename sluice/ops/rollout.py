"""`sluice rollout`: shift traffic to a new revision in steps, and check its health between them.

On any failure, the previous traffic is restored and the status is 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from sluice.local.reasons import reason
from sluice.ops.service import VARIABLE, Service
from sluice_client import SluiceError

MONITORING_URL = "https://monitoring.googleapis.com"
_GCLOUD_TIMEOUT_S, _TIMEOUT_S = 300, 30.0
_STEPS = (10, 50, 100)
"""Percentages."""
_LOOK_EVERY_S = 15.0
_FEW = 20
"""With fewer responses, an error rate is meaningless."""
_MAX_ERROR_RATE = 0.01


class RolloutError(Exception):
    """The rollout cannot go on; the message says why."""


class CloudRun:
    """One service."""

    def __init__(self, project: str, region: str, service: str) -> None:
        """Locate the service. Raises RolloutError if there is no gcloud."""
        self._gcloud = shutil.which("gcloud") or ""
        if not self._gcloud:
            raise RolloutError("gcloud is not on PATH: https://cloud.google.com/sdk/docs/install")
        self.project, self.service = project, service
        self._place = (f"--project={project}", f"--region={region}", "--quiet")

    def traffic(self) -> dict[str, int]:
        """Return the percentage of each revision that has traffic."""
        return {target["revisionName"]: target["percent"] for target in self._targets() if target.get("percent")}

    def tagged(self, tag: str) -> tuple[str, str]:
        """Return the name and the URL of the revision that carries a tag. Raises RolloutError if none does."""
        for target in self._targets():
            if target.get("tag") == tag:
                return target["revisionName"], target["url"]
        raise RolloutError(f"no revision of {self.service} has the tag {tag}")

    def give(self, shares: dict[str, int]) -> None:
        """Divide the traffic; revisions that are not named share the rest as before."""
        split = ",".join(f"{revision}={percent}" for revision, percent in shares.items())
        self._run("run", "services", "update-traffic", self.service, f"--to-revisions={split}", *self._place)

    def untag(self, tag: str) -> None:
        """Remove a tag, and with it the instances that are kept for its URL."""
        if any(target.get("tag") == tag for target in self._targets()):
            self._run("run", "services", "update-traffic", self.service, f"--remove-tags={tag}", *self._place)

    def access_token(self) -> str:
        """Return a token for Google's own APIs."""
        return self._run("auth", "print-access-token", "--quiet").strip()

    def _targets(self) -> list[dict[str, Any]]:
        shown = self._run("run", "services", "describe", self.service, "--format=json", *self._place)
        targets: list[dict[str, Any]] = json.loads(shown)["status"].get("traffic", [])
        return targets

    def _run(self, *arguments: str) -> str:
        command = [self._gcloud, *arguments]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_GCLOUD_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])} took longer than {_GCLOUD_TIMEOUT_S} s") from error
        if run.returncode != 0:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])}: {run.stderr.strip()[-600:]}")
        return run.stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    for name, text in (("--project", "project id"), ("--region", "region"), ("--service", "Cloud Run service")):
        parser.add_argument(name, required=True, help=text)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tag", help="shift the traffic to the revision with this tag: 10, 50, 100 %%")
    what.add_argument("--save", type=Path, metavar="FILE", help="only save the current traffic split")
    what.add_argument("--restore", type=Path, metavar="FILE", help="restore the traffic split that --save wrote")
    parser.add_argument("--untag", metavar="TAG", default="", help="with --restore: take this tag away as well")
    parser.add_argument(
        "--observe", type=float, default=300.0, metavar="S", help="seconds before each further step (default: 300)"
    )


def run(args: argparse.Namespace) -> int:
    """Run one of the three modes; return 0 if it succeeded."""
    try:
        place = CloudRun(args.project, args.region, args.service)
        if args.save:
            args.save.write_text(json.dumps(place.traffic()))
            print(f"traffic: {_shown(place.traffic())}")
        elif args.restore:
            _restore(place, json.loads(args.restore.read_text()))
            if args.untag:
                place.untag(args.untag)
        else:
            _roll_out(place, args.tag, args.observe)
    except (RolloutError, SluiceError, OSError, ValueError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def _roll_out(place: CloudRun, tag: str, observe_s: float) -> None:
    before, (revision, url) = place.traffic(), place.tagged(tag)
    candidate = Service(url, os.environ.get(VARIABLE, ""))
    print(f"before: {_shown(before)}; new: {revision} at {candidate.url}", flush=True)
    try:
        for percent in _STEPS:
            _step(place, candidate, revision, percent, observe_s)
    except BaseException:  # Ctrl-C too: never leave a rollout half done
        print("restoring the previous traffic", file=sys.stderr, flush=True)
        _restore(place, before)
        raise
    print(f"{revision} has all the traffic")


def _step(place: CloudRun, candidate: Service, revision: str, percent: int, observe_s: float) -> None:
    """Give a revision its percentage, and watch it. Raises RolloutError or SluiceError if it performs badly."""
    candidate.health()
    place.give({revision: percent})
    begun, deadline = datetime.now(UTC), time.monotonic() + observe_s
    while (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_EVERY_S))
        candidate.health()
    total, errors = responses_since(place, revision, begun)
    few = " (too few to judge)" if total < _FEW else ""
    print(f"{percent:>3} %: ready; {errors} of {total} responses were 5xx{few}", flush=True)
    if total >= _FEW and errors > _MAX_ERROR_RATE * total:
        raise RolloutError(
            f"{revision}, at {percent} %, answered {errors} of {total} requests with 5xx; "
            f"the allowed fraction is {_MAX_ERROR_RATE:.0%}"
        )


def _restore(place: CloudRun, shares: dict[str, int]) -> None:
    if place.traffic() != shares:
        place.give(shares)
    print(f"traffic: {_shown(shares)}", flush=True)


def _shown(shares: dict[str, int]) -> str:
    return ", ".join(f"{revision} {percent} %" for revision, percent in shares.items()) or "nothing"


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
