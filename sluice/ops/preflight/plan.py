"""What is to be deployed, or is: names from a tfvars file or from options, settings from the service that runs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.record import RecordTypeError
from app.schema.table import RECORDS
from app.settings.load import PREFIX, VARIABLES, Settings, SettingsError, load_settings
from app.streams import Streams, load_streams

_ASSIGNMENT = re.compile(r"^(\w+)\s*=\s*(.*?)(?=^\w+\s*=|\Z)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*(#|//).*$", re.MULTILINE)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WITHHELD = "a secret, of which only the use is known here"
"""Longer than the least length of any secret, so that a rule on it holds."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """The names by which Terraform makes everything (infra/terraform/names.tf), and what is known so far.

    `service` is the resource of the running service and `environ` its environment, both None before the
    first apply. `ingest_service` is the one that gets the pushes, if that is another (`services = "two"`).

    `streams` are the names that SLUICE_STREAMS declares, the default one first; a single type has one empty name.
    `stream` is the one that is looked at.
    """

    project: str
    region: str
    system: str = "sluice"
    service_name: str = ""
    dataset: str = ""
    number: str = ""
    reader: str = ""
    service: Mapping[str, Any] | None = None
    ingest_service: Mapping[str, Any] | None = None
    environ: Mapping[str, str] | None = None
    streams: tuple[str, ...] = ("",)
    stream: str = ""

    @property
    def name(self) -> str:
        """The Cloud Run service."""
        return self.service_name or self.system

    @property
    def dataset_id(self) -> str:
        """The dataset."""
        return self.dataset or self.system.replace("-", "_")

    @property
    def data_project(self) -> str:
        """The project of the tables, which runs the queries, too."""
        return (self.environ or {}).get("SLUICE_BIGQUERY_PROJECT") or self.project

    @property
    def topic(self) -> str:
        """The full name of the topic, of the stream's own one."""
        return f"projects/{self.project}/topics/{self.system}{self._suffix}"

    @property
    def subscription(self) -> str:
        """The push subscription's full name."""
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
    def _suffix(self) -> str:
        return "" if self.stream in {"", RECORDS} else f".{self.stream}"

    @property
    def table(self) -> str:
        """The name of the table of records, of the stream's."""
        return self.stream or RECORDS

    @property
    def push_path(self) -> str:
        """The path that the stream's messages are pushed to."""
        return f"/pubsub/push/{self.stream}" if self.stream else "/pubsub/push"

    @property
    def url(self) -> str:
        """The URL of the service; "" while there is none."""
        return str((self.service or {}).get("uri", ""))

    @property
    def ingest_url(self) -> str:
        """The URL of the service that gets the pushes."""
        return str((self.ingest_service or self.service or {}).get("uri", ""))

    @property
    def settings(self) -> Settings:
        """The settings of the running service.

        Raises:
            SettingsError: this version does not understand them.
        """
        known = {name: text for name, text in (self.environ or {}).items() if name.startswith(PREFIX)}
        return load_settings({**known, "K_SERVICE": self.name})  # as Cloud Run sets it


def streams_of(deployment: Deployment) -> Streams:
    """Return the streams of the running service.

    Raises:
        RecordTypeError: their module is not here, or a record type cannot be stored.
    """
    return load_streams(deployment.settings.store, only_describes=True)


def missing_key(deployment: Deployment) -> str:
    """Return which fields need the key of hashes that the service does not have; "" if none.

    A record type that is not here says nothing: the checks that need it report that.
    """
    try:
        streams_of(deployment)
    except RecordTypeError:
        return ""
    try:
        load_streams(deployment.settings.store)
    except RecordTypeError as error:
        return str(error)
    return ""


def settings_trouble(deployment: Deployment) -> str:
    """Return what this version does not understand of the service's settings; "" if nothing."""
    try:
        _ = deployment.settings
    except SettingsError as error:
        return str(error)
    return ""


def environ_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a Cloud Run service's first container, without values that are secrets.

    The resource is https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services#Service. A secret is
    replaced by a text of the same use, so that the rules between settings can be checked.
    """
    containers = (service.get("template") or {}).get("containers") or [{}]
    environ = {}
    for each in containers[0].get("env") or ():
        is_secret = "valueSource" in each and each["name"] in VARIABLES
        environ[each["name"]] = _WITHHELD if is_secret else str(each.get("value", ""))
    return environ


def with_service(
    deployment: Deployment, service: Mapping[str, Any], ingest: Mapping[str, Any] | None = None
) -> Deployment:
    """Return the deployment with what runs; its own settings win over the names that were given.

    Of two services, each has the settings of its role: together they are those of one service.
    """
    environ = environ_of(service)
    if ingest is not None:
        environ |= environ_of(ingest) | {"SLUICE_ROLES": "ingest,query"}
    return msgspec.structs.replace(
        deployment,
        service=service,
        ingest_service=ingest,
        environ=environ,
        dataset=environ.get("SLUICE_BIGQUERY_DATASET") or deployment.dataset,
    )


def read_tfvars(text: str) -> dict[str, Any]:
    """Return those variables of a tfvars file that a Deployment knows, by its own names.

    Only strings are read; that is all that is needed of the language.
    """
    assigned = {name: value.strip() for name, value in _ASSIGNMENT.findall(_COMMENT.sub("", text))}
    strings = {name: _STRING.findall(value) for name, value in assigned.items()}
    renamed = {"project_id": "project", "project_number": "number"}
    plain = ("project_id", "project_number", "region", "system", "dataset")
    return {renamed.get(name, name): strings[name][0] for name in plain if strings.get(name)}
