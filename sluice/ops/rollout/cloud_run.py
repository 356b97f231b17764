"""Read and change a Cloud Run service's traffic with gcloud and its credentials."""

import json
import shutil
import subprocess
from typing import Any

_TIMEOUT_S = 300


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
            run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])} took longer than {_TIMEOUT_S} s") from error
        if run.returncode != 0:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])}: {run.stderr.strip()[-600:]}")
        return run.stdout
