"""The limits of a system at any rate: our own settings, Google's quotas, and fixed limits. Pure data.

Each limit has where it stands, and from what it was taken: this was written where Google's pages cannot be reached, so
from stored copies of them, and from texts that cite them. Quotas differ by project, and change: the console has yours.
"""

import enum

import msgspec

from app.ingest.dispatcher import APART_US
from app.runtime.clock import MICROSECONDS
from app.settings.load import Settings
from app.stores.bigquery.connections import MAX_REQUESTS

READ = "November 2026"
_BIGQUERY = "https://cloud.google.com/bigquery/quotas"
_PUBSUB = "https://cloud.google.com/pubsub/quotas"
_RUN = "https://cloud.google.com/run/docs/configuring/max-instances-limits"
_TERRAFORM = "../infra/terraform/variables_service.tf"
_SETTINGS = "settings.md"
_DEFAULTS = Settings().flat()

DEPLOYED_INSTANCES, ALLOWED_INSTANCES, CONCURRENCY = 10, 100, 400  # infra/terraform/variables_service.tf
MAX_CONNECTIONS: int = _DEFAULTS["bigquery_max_connections"]  # of an instance, to each table
REJECTS_TABLES = 1  # beside the table of each stream
APPENDS_IN_FLIGHT = MAX_REQUESTS  # of an instance with one stream; several share them until they are reached
APPENDS_APART_S = APART_US / MICROSECONDS  # from then on, between two appends of a stream, for each busy stream
CONNECTION_BYTES_PER_S = 10_000_000  # https://cloud.google.com/bigquery/docs/write-api-best-practices
WINDOW = 3_000  # outstanding pushes, https://cloud.google.com/pubsub/docs/push#delivery_rate
REMEMBERED: int = _DEFAULTS["dedupe_max_messages"]
LOOKBACK_S: float = _DEFAULTS["dedupe_lookback_s"]
RETENTION_DAYS: int = _DEFAULTS["retention_days"]
SERIES_A_REQUEST = 200  # https://cloud.google.com/stackdriver/quotas
POLL_S: float = _DEFAULTS["poll_s"]
MAX_PAGE_ROWS = 1_000  # of the API and of the tail


class Whose(enum.Enum):
    """Who can raise a limit."""

    OURS = "you, by a setting"
    QUOTA = "Google, on request"
    FIXED = "fixed"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How much there may be of something.

    `source` is a page, or a file from docs/; `known`, what the value was taken from. `is_regional`: it holds where the
    dataset is in a region, and its twin where it is in EU or US, which is what Terraform makes. `of_reading`: what
    gives there is a reader's request, and nothing that is to be stored.
    """

    what: str
    value: float
    unit: str
    whose: Whose
    source: str
    known: str
    remedy: str
    is_regional: bool = False
    of_reading: bool = False

    def share(self, use: float) -> float:
        """Return which part of the limit such a use is."""
        return use / self.value


_CITED = "texts that cite the page"

LIMITS = {
    "instances": Limit(
        what="instances, as Terraform deploys",
        value=DEPLOYED_INSTANCES,
        unit="instances",
        whose=Whose.OURS,
        source=_TERRAFORM,
        known="the code",
        remedy="`instances.max` in Terraform",
    ),
    "most instances": Limit(
        what="instances, as Terraform allows",
        value=ALLOWED_INSTANCES,
        unit="instances",
        whose=Whose.OURS,
        source=_TERRAFORM,
        known="the code",
        remedy="100 records in a message; or a second service with a subscription of its own (a filter on an "
        "attribute divides the topic), in another region; or the check in Terraform",
    ),
    "vcpus": Limit(
        what="vCPUs of Cloud Run in the region",
        value=20,
        unit="vCPUs",
        whose=Whose.QUOTA,
        source=_RUN,
        known="reports of new projects: 20, some 56 or 200; a stored copy of the page has 1,000 as an example",
        remedy="ask for vCPUs; 100 records in a message; services in several regions",
    ),
    "published": Limit(
        what="bytes published, in a large region",
        value=4e9,
        unit="bytes/s",
        whose=Whose.QUOTA,
        source=_PUBSUB,
        known="one text that cites the page; older ones have 2 GB/s and 200 MB/s; small regions have less",
        remedy="ask for more; publishers in several regions",
    ),
    "pushed": Limit(
        what="bytes pushed, in a large region",
        value=440e6,
        unit="bytes/s",
        whose=Whose.QUOTA,
        source=_PUBSUB,
        known="one text that cites the page; an older one has 20 MB/s; small regions have less",
        remedy="ask for more; gzip with `content-encoding`; publishers and services in several regions",
    ),
    "appended": Limit(
        what="bytes appended, dataset in EU or US",
        value=3e9,
        unit="bytes/s",
        whose=Whose.QUOTA,
        source=_BIGQUERY + "#write-api-limits",
        known=_CITED,
        remedy="ask for more, with connections in proportion; tables in several projects",
    ),
    "appended in a region": Limit(
        what="bytes appended, dataset in a region",
        value=300e6,
        unit="bytes/s",
        whose=Whose.QUOTA,
        source=_BIGQUERY + "#write-api-limits",
        known=_CITED,
        remedy="a dataset in EU or US; ask for more; tables in several projects",
        is_regional=True,
    ),
    "connections": Limit(
        what="connections for appends, dataset in EU or US",
        value=10_000,
        unit="connections",
        whose=Whose.QUOTA,
        source=_BIGQUERY + "#write-api-limits",
        known=_CITED,
        remedy="a lower `SLUICE_BIGQUERY_MAX_CONNECTIONS`; ask for more",
    ),
    "connections in a region": Limit(
        what="connections for appends, dataset in a region",
        value=1_000,
        unit="connections",
        whose=Whose.QUOTA,
        source=_BIGQUERY + "#write-api-limits",
        known=_CITED + "; an older one has 100",
        remedy="a lower `SLUICE_BIGQUERY_MAX_CONNECTIONS`; ask for more",
        is_regional=True,
    ),
    "page": Limit(
        what="bytes of a query of an hour: filters, counts, statistics",
        value=_DEFAULTS["query_max_bytes_billed"],
        unit="bytes",
        whose=Whose.OURS,
        source=_SETTINGS,
        known="the code",
        remedy="`SLUICE_QUERY_MAX_BYTES_BILLED`; statistics of few columns; several tables, each with its own service",
        of_reading=True,
    ),
    "look-up": Limit(
        what="bytes of a look-up by id in the last hour, without a search index",
        value=_DEFAULTS["look_up_max_bytes_billed"],
        unit="bytes",
        whose=Whose.OURS,
        source=_SETTINGS,
        known="the code",
        remedy="the search index of `sluice schema index`; `SLUICE_LOOK_UP_MAX_BYTES_BILLED`",
        of_reading=True,
    ),
    "metrics": Limit(
        what="requests to the Telemetry API, to write metrics, in a region",
        value=60_000,
        unit="a minute",
        whose=Whose.QUOTA,
        source="https://cloud.google.com/stackdriver/quotas",
        known="a stored copy of the page, which has 200 points a request, too",
        remedy="a longer `SLUICE_METRICS_INTERVAL_S`",
    ),
    "partitions": Limit(
        what="partitions of the table, at any rate",
        value=10_000,
        unit="partitions",
        whose=Whose.FIXED,
        source=_BIGQUERY + "#partitioned_tables",
        known=_CITED,
        remedy="none is needed: Terraform takes a retention of 415 days at most",
    ),
}
