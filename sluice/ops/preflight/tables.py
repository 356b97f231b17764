"""After: the tables against the declaration, and every statement of the service against the tables. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from app.record import RecordTypeError
from app.schema.table import REJECTS, Table, rejects_table
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.cost_limits import job_config
from app.stores.bigquery.table_diff import describe, differences, live_table
from app.stores.bigquery.watermarks.marks import INSTANCES, instances_table, newest_marks
from app.stores.bigquery.watermarks.setup import limits_of
from app.stores.query import Deletion, LookUp, Query
from app.stores.sql.statement import Statement, render, render_instants, render_look_up
from sluice.ops.preflight.check import Ask
from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment, streams_of
from sluice.ops.preflight.statements import every_query

BIGQUERY = "bigquery.googleapis.com"
_DAY_MS = 86_400_000
_AN_INSTANT_US = 1_700_000_000_000_000


def tables_of(deployment: Deployment) -> tuple[Table, Table]:
    """Return the declarations of the stream's table and of the table of rejects.

    Raises:
        RecordTypeError: the record type is not here, or cannot be stored.
    """
    return streams_of(deployment).table(deployment.stream), rejects_table()


def _table_question(deployment: Deployment, name: str) -> Question:
    path = f"bigquery/v2/projects/{deployment.data_project}/datasets/{deployment.dataset_id}/tables/{name}"
    return Question(BIGQUERY, path)


def judge_table(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check a table's columns, partitions, clustering and retention, as the service itself does at start-up.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
    """
    (answer,) = answers
    if answer.status == 404:
        return Failed(f"a table is missing: {answer.message}", "`terraform apply`")
    try:
        declared = [*tables_of(deployment), instances_table()]
    except RecordTypeError as error:
        return _no_record_type(error)
    name = str((answer.body.get("tableReference") or {}).get("tableId"))
    (table,) = [each for each in declared if each.name == name]
    table_differences = differences(table, live_table(answer.body))
    breaking, pending = (
        [each for each in table_differences if each.breaks],
        [each for each in table_differences if each.pending],
    )
    if dearer := [each for each in table_differences if each.path == "clustering" and not breaking and not pending]:
        return Failed(
            f"{name}: {describe(dearer)}".rstrip("."), '`terraform apply`; docs/schema-changes.md, "clustering"'
        )
    if breaking or pending:
        what = "does not fit the record type" if breaking else "lacks columns, so records that use them would wait"
        return Failed(
            f"{name} {what}: {describe(breaking + pending)}".rstrip("."),
            "regenerate the columns (`python -m app.schema bigquery`) and apply; docs/schema-changes.md",
        )
    kept_ms = int((answer.body.get("timePartitioning") or {}).get("expirationMs", 0))
    days = table.retention_days or deployment.settings.store.retention_days
    if kept_ms != days * _DAY_MS:
        return Failed(
            f"{name} keeps its partitions for {kept_ms / _DAY_MS:g} days, and the service counts on {days}",
            "`terraform apply`: retention_days sets both, of a stream also in SLUICE_STREAMS",
        )
    return Held(f"{name} has the {len(table.columns)} columns of the declaration, and is kept for {days} days")


def _instances_questions(deployment: Deployment) -> Sequence[Question]:
    return [] if deployment.settings.store.watermarks == "off" else [_table_question(deployment, INSTANCES)]


def judge_instances(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check the table of watermarks like the others: without it, the service would store nothing."""
    if not answers:
        return Held("the service uses no watermarks: records are readable once the settle time is over")
    return judge_table(deployment, answers)


def _no_record_type(error: RecordTypeError) -> NotLooked:
    return NotLooked(f"the record type of the service cannot be loaded here, where its file must be: {error}")


def _statement_questions(deployment: Deployment) -> Sequence[Question]:
    try:
        queries = every_query(*tables_of(deployment))
    except RecordTypeError:
        return []
    place = TableAddress(
        project=deployment.data_project,
        dataset=deployment.dataset_id,
        location=deployment.location,
        rest_url="",
        storage_url="",
    )
    questions = []
    statements = [*_statements(queries)]
    if (store := deployment.settings.store).watermarks != "off":
        statements.append(newest_marks(_AN_INSTANT_US, limits_of(store)))
    for statement in statements:
        resource = job_config(statement, place, deployment.settings).to_api_repr()
        resource["query"]["query"] = statement.sql
        reference = {"projectId": deployment.data_project, "location": deployment.location}
        body = {"configuration": {**resource, "dryRun": True}, "jobReference": reference}
        path = f"bigquery/v2/projects/{deployment.data_project}/jobs"
        questions.append(Question(BIGQUERY, path, body, method="POST"))
    return questions


def _statements(queries: Iterable[Query | Deletion]) -> Iterator[Statement]:
    for query in queries:
        if isinstance(query, LookUp):
            yield render_instants(query, is_cheap=False)
            yield render_look_up(query, instants=[query.to_us - 1, query.from_us])
        yield render(query)


def judge_statements(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that BigQuery accepts every statement; a dry run reads nothing and costs nothing.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration (`dryRun`)
    """
    if not answers:
        try:
            tables_of(deployment)
        except RecordTypeError as error:
            return _no_record_type(error)
    refused = [answer.message for answer in answers if not answer.is_good]
    if refused:
        return Failed(
            f"BigQuery refuses {len(refused)} of {len(answers)} statements, the first with: {refused[0]}".rstrip("."),
            "mend the tables first, if their checks failed; otherwise report it with --transcript: it is a defect",
        )
    return Held(f"BigQuery accepts all {len(answers)} statements of the service")


def _index_questions(deployment: Deployment) -> Sequence[Question]:
    """Return the query of a table's search indexes, which costs 10 MB; none where the service relies on none.

    https://cloud.google.com/bigquery/docs/information-schema-indexes
    """
    if not deployment.settings.query.id_index:
        return []
    dataset = f"{deployment.data_project}.{deployment.dataset_id}"
    query = (
        f"SELECT index_status, coverage_percentage FROM `{dataset}`.INFORMATION_SCHEMA.SEARCH_INDEXES "  # noqa: S608 - names of this project
        f"WHERE table_name = '{deployment.table}'"
    )
    body = {"query": query, "useLegacySql": False, "location": deployment.location}
    return [Question(BIGQUERY, f"bigquery/v2/projects/{deployment.data_project}/queries", body, method="POST")]


def judge_index(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the table has the search index that look-ups by id rely on."""
    try:
        table, _ = tables_of(deployment)
    except RecordTypeError as error:
        return _no_record_type(error)
    if not answers:
        return Held("the service relies on no search index: a look-up by id reads two columns of what it searches")
    if table.id is None:
        return Held(f"{table.name} has no id to look up")
    (answer,) = answers
    indexes = [[cell.get("v") for cell in row.get("f", ())] for row in answer.body.get("rows") or ()]
    active = [float(coverage or 0) for status, coverage in indexes if status == "ACTIVE"]
    if any(status == "TEMPORARILY DISABLED" for status, _ in indexes):
        return Held(f"the search index of {table.name} waits until the table has about 10 GB, as it should")
    if not active:
        what = f"its status is {indexes[0][0]}" if indexes else "there is none"
        return Failed(
            f"{table.name} needs a search index on {table.id.name}, and {what}: look-ups by id read all of the table",
            "`sluice schema index --apply`; without an index, id_index = false",
        )
    return Held(f"the search index of {table.name} covers {max(active):g} % of it")


CHECKS = (
    Ask(
        name="table-records",
        phase="after",
        needs="streams",
        about="the table of records fits the declaration, and is kept as long as the service expects",
        questions=lambda deployment: [_table_question(deployment, deployment.table)],
        verdict=judge_table,
        judges={404},
    ),
    Ask(
        name="table-rejects",
        phase="after",
        about="the table of rejects fits the service, and is kept as long as it expects",
        questions=lambda deployment: [_table_question(deployment, REJECTS)],
        verdict=judge_table,
        judges={404},
    ),
    Ask(
        name="table-instances",
        phase="after",
        needs="streams",
        about="the table of watermarks fits the service, where SLUICE_WATERMARKS has it written",
        questions=_instances_questions,
        verdict=judge_instances,
        judges={404},
    ),
    Ask(
        name="id-index",
        phase="after",
        needs="streams",
        about="the table of records has the search index by which ids are found (a query of 10 MB)",
        questions=_index_questions,
        verdict=judge_index,
    ),
    Ask(
        name="statements",
        phase="after",
        needs="streams",
        about="BigQuery accepts every SQL statement that the service sends (dry runs: free)",
        questions=_statement_questions,
        verdict=judge_statements,
        judges={400, 404},
    ),
)
