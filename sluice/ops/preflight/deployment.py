"""A deployment: the names of one stream's resources, from a tfvars file, and the service that runs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.schema.table import RECORDS
from app.settings.load import PREFIX, VARIABLES, Settings, SettingsError, load_settings
from sluice.ops.preflight.google import Google

_RUN = "run.googleapis.com"
_INGEST = "-ingest"
"""The suffix of the service that gets the pushes, where there are two (`services = "two"`)."""
_STRING = r'^{}\s*=\s*"((?:[^"\\]|\\.)*)"'
_WITHHELD = "a secret, of which only the use is known here"
"""Longer than the least length of any secret, so that a rule on it holds."""


class DeploymentError(Exception):
    """There is nothing to check; the message says why, and what to do."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The names that Terraform gives (infra/terraform/names.tf) to the resources of a stream; "" is a single type."""

    project: str
    region: str
    system: str = "sluice"
    stream: str = ""

    @property
    def subscription(self) -> str:
        """The full name of the push subscription."""
        return f"projects/{self.project}/subscriptions/{self.system}-push{self._suffix}"

    @property
    def dead_letter_topic(self) -> str:
        """The full name of the topic of dead letters."""
        return f"projects/{self.project}/topics/{self.system}-dead-letters{self._suffix}"

    @property
    def dead_letter_subscription(self) -> str:
        """The full name of the subscription that keeps dead letters."""
        return f"projects/{self.project}/subscriptions/{self.system}-dead-letters{self._suffix}"

    @property
    def push_path(self) -> str:
        """The path that the messages are pushed to."""
        return f"/pubsub/push/{self.stream}" if self.stream else "/pubsub/push"

    @property
    def _suffix(self) -> str:
        return "" if self.stream in {"", RECORDS} else f".{self.stream}"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """The services that run, as resources, with the settings of both together; `ingest` may be `service` itself.

    https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services#Service
    """

    names: Names
    service: Mapping[str, Any]
    ingest: Mapping[str, Any]
    settings: Settings


def read_tfvars(text: str, stream: str = "") -> Names:
    """Return a stream's names by an environment's variables, of which only the strings are read.

    Raises:
        DeploymentError: a variable that has no default is not there.
    """
    found = {name: re.search(_STRING.format(name), text, re.MULTILINE) for name in ("project_id", "region", "system")}
    values = {name: match[1] for name, match in found.items() if match}
    if missing := [name for name in ("project_id", "region") if name not in values]:
        raise DeploymentError(f"no {' and no '.join(missing)}, as in infra/terraform/environments/")
    return Names(project=values.pop("project_id"), stream=stream, **values)


def read_deployment(names: Names, google: Google) -> Deployment:
    """Return what runs under these names.

    Raises:
        DeploymentError: there is no such service, its settings are not understood, or it has several streams.
        UnreadableError: the caller may not ask.
    """
    path = f"v2/projects/{names.project}/locations/{names.region}/services/{names.system}"
    service = google.ask(_RUN, path)
    if service is None:
        raise DeploymentError(f"there is no service {names.system} in {names.region}: `terraform apply`")
    environ = _environ(service)
    ingest = google.ask(_RUN, path + _INGEST)
    if ingest is not None:
        environ |= _environ(ingest) | {"SLUICE_ROLES": "ingest,query"}
    try:
        settings = load_settings(environ | {"K_SERVICE": names.system})  # as Cloud Run sets it
    except SettingsError as error:
        raise DeploymentError(
            f"this version does not accept the service's settings, use the one that is deployed: {error}"
        ) from error
    if bool(settings.store.streams) != bool(names.stream):
        raise DeploymentError(
            "the service has several streams: give --stream NAME"
            if settings.store.streams
            else "--stream: the service has a single type"
        )
    return Deployment(names=names, service=service, ingest=ingest or service, settings=settings)


def _environ(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings in a service's environment; a secret is replaced by a text of the same use."""
    return {
        each["name"]: _WITHHELD if "valueSource" in each else str(each.get("value", ""))
        for each in service["template"]["containers"][0].get("env", ())
        if each["name"].startswith(PREFIX) and ("valueSource" not in each or each["name"] in VARIABLES)
    }
