"""The search index on the id of a table of records, by which an id of any age is found at a low cost.

Terraform has no resource for one, so `sluice schema index` makes it. BigQuery fills it by itself. The index of a table
of less than about 10 GB is TEMPORARILY DISABLED, as it should be: BigQuery reads such a table without one.
"""

from app.schema.columns import Column, Kind
from app.stores.bigquery.client import BigQueryClients

_TIMEOUT_S = 60.0


def search_index_ddl(column: Column, table_id: str) -> str:
    """Return the statement that makes the index on the ids of a table; where there is one, it changes nothing.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_search_index_statement
    """
    # An id is one word, whatever is in it; numbers are not indexed unless that is asked for.
    options = "data_types = ['INT64']" if column.kind is Kind.INT64 else "analyzer = 'NO_OP_ANALYZER'"
    name = column.name
    return f"CREATE SEARCH INDEX IF NOT EXISTS `{name}_index` ON `{table_id}`(`{name}`) OPTIONS ({options})"


def run_ddl(access: BigQueryClients, statement: str) -> None:
    """Run a statement that may be run twice. Blocks.

    Raises:
        Exception: whatever the client, the credentials or the network raise.
    """
    from google.cloud.bigquery.retry import DEFAULT_RETRY  # noqa: PLC0415 - slow to import

    access.client().query_and_wait(
        statement,
        retry=DEFAULT_RETRY.with_timeout(_TIMEOUT_S),
        job_retry=None,  # type: ignore[arg-type] # documented: no restart of a failed job
        wait_timeout=_TIMEOUT_S,
    )
