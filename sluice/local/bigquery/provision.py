"""Create the dataset and its tables from the declaration, as Terraform does in the cloud. For this machine only."""

from collections.abc import Iterable

from google.api_core.exceptions import Conflict, GoogleAPIError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from app.record import RecordTypeError
from app.schema.table import Table, rejects_table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_layout import LAYOUT, bigquery_schema, describe, differences
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from sluice.local.bigquery.errors import ProvisionError
from sluice.local.declared import Declared

WITHIN_S = 30.0


def tables_of(declared: Declared) -> list[Table]:
    """Return the tables that the service may need: one for each record type, of the rejects, and of instances.

    Raises:
        ProvisionError: there is no such declaration, or a type cannot be stored in a table.
    """
    try:
        return [*declared.load().tables, rejects_table(), instances_table(), erasures_table()]
    except RecordTypeError as error:
        raise ProvisionError(f"{'streams' if declared.streams else 'record type'} {declared}: {error}") from error


def provision(place: TableAddress, tables: Iterable[Table], within_s: float = WITHIN_S) -> None:
    """Create the missing dataset and tables; keep an existing table that matches its declaration.

    Each step may take `within_s`: by default, the client would retry for ten minutes.

    Raises:
        ProvisionError: an existing table does not match its declaration, or BigQuery refused something.
    """
    access, retry = BigQueryClients(place), DEFAULT_RETRY.with_timeout(within_s)
    try:
        client = access.client()
        client.create_dataset(f"{place.project}.{place.dataset}", exists_ok=True, retry=retry, timeout=within_s)
        for table in tables:
            try:
                client.create_table(_declared(place, table), retry=retry, timeout=within_s)
            except Conflict:
                existing_table = client.get_table(place.table_id(table.name), retry=retry, timeout=within_s)
                _require_fit(place, table, existing_table)
    except GoogleAPIError as error:
        raise ProvisionError(f"the tables of {place.project}.{place.dataset} could not be created: {error}") from error
    finally:
        access.close()


def _require_fit(place: TableAddress, table: Table, existing_table: bigquery.Table) -> None:
    if breaking := differences(table, existing_table.to_api_repr()):
        raise ProvisionError(
            f"{place.table_id(table.name)} is there and does not fit {table.record_type.__name__}: "
            f"{describe(breaking)} "
            "Or keep the data in another folder."
        )


def _declared(place: TableAddress, table: Table) -> bigquery.Table:
    reference = {"projectId": place.project, "datasetId": place.dataset, "tableId": table.name}
    schema = {"fields": bigquery_schema(table)}
    resource = {"tableReference": reference, "schema": schema, **LAYOUT}
    made: bigquery.Table = bigquery.Table.from_api_repr(resource)
    return made
