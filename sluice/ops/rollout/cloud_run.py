"""Read and change a Cloud Run service's traffic with gcloud and its credentials."""

import shutil
import subprocess

import msgspec

_TIMEOUT_S = 300


class RolloutError(Exception):
    """The rollout cannot go on; the message says why."""


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a service's traffic: a revision, its percentage, and the tag that gives it its own URL."""

    revision_name: str = ""
    percent: int = 0
    tag: str = ""
    url: str = ""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    traffic: list[Target] = []


class _Service(msgspec.Struct, frozen=True):
    status: _Status


class Traffic(msgspec.Struct, frozen=True):
    """The shares of traffic by revision, as `--save` writes and `--restore` reads them."""

    shares: dict[str, int]


class CloudRun:
    """One service."""

    def __init__(self, project: str, region: str, service: str) -> None:
        """Locate the service. Raises RolloutError if there is no gcloud."""
        self._gcloud = shutil.which("gcloud") or ""
        if not self._gcloud:
            raise RolloutError("gcloud is not on PATH: https://cloud.google.com/sdk/docs/install")
        self.project, self.service = project, service
        self._place = (f"--project={project}", f"--region={region}", "--quiet")

    def traffic(self) -> Traffic:
        """Return the current division of the traffic."""
        shares: dict[str, int] = {}
        for target in self._status().traffic:
            if target.percent:
                shares[target.revision_name] = shares.get(target.revision_name, 0) + target.percent
        return Traffic(shares)

    def tagged(self, tag: str) -> Target:
        """Return the revision that carries a tag, and its URL. Raises RolloutError if none does."""
        for target in self._status().traffic:
            if target.tag == tag:
                return target
        raise RolloutError(f"no revision of {self.service} has the tag {tag}")

    def give(self, shares: dict[str, int]) -> None:
        """Divide the traffic; revisions that are not named share the rest as before."""
        split = ",".join(f"{revision}={percent}" for revision, percent in shares.items())
        self._run("run", "services", "update-traffic", self.service, f"--to-revisions={split}", *self._place)

    def untag(self, tag: str) -> None:
        """Remove a tag, and with it the instances that are kept for its URL."""
        if any(target.tag == tag for target in self._status().traffic):
            self._run("run", "services", "update-traffic", self.service, f"--remove-tags={tag}", *self._place)

    def access_token(self) -> str:
        """Return a token for Google's own APIs."""
        return self._run("auth", "print-access-token", "--quiet").strip()

    def _status(self) -> _Status:
        shown = self._run("run", "services", "describe", self.service, "--format=json", *self._place)
        return msgspec.json.decode(shown, type=_Service).status

    def _run(self, *arguments: str) -> str:
        command = [self._gcloud, *arguments]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])} took longer than {_TIMEOUT_S} s") from error
        if run.returncode != 0:
            raise RolloutError(f"gcloud {' '.join(arguments[:3])}: {run.stderr.strip()[-600:]}")
        return run.stdout
