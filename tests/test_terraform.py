"""What infra/terraform says agrees with the service: settings, clocks, tables, roles, workflows. By reading alone."""

import json
import re
from pathlib import Path

import pytest
import sqlglot

from app.record import CANARY_PREFIX
from app.settings.load import VARIABLES, Settings, load_settings
from app.stores.bigquery.table_layout import LAYOUT, PARTITION_COLUMN, PARTITION_TYPE

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "infra" / "terraform"
_DEFAULTS = Settings().flat()
_SAMPLES = {
    "SLUICE_RECORD": "app.record:Record",
    "SLUICE_STREAMS": "shop.streams:STREAMS",
    "SLUICE_BIGQUERY_PROJECT": "my-project",
    "SLUICE_BIGQUERY_DATASET": "sluice",
    "SLUICE_BIGQUERY_LOCATION": "EU",
    "SLUICE_PUSH_AUDIENCE": "my-project/sluice/push",
    "SLUICE_PUSH_PRINCIPALS": "sluice-push@my-project.iam.gserviceaccount.com",
    "SLUICE_API_AUDIENCE": "my-project/sluice",
    "SLUICE_API_PRINCIPALS": "sluice-deploy@my-project.iam.gserviceaccount.com",
    "SLUICE_GRANTS_FILE": "",
    "SLUICE_CACHE_URL": "valkeys://default@10.8.0.3:6379/0?ssl_ca_data=-----BEGIN+CERTIFICATE-----",
    "SLUICE_HEARTBEAT_SIGNATURE": "5" * 64,
    "SLUICE_SYSTEM": "sluice",
    "SLUICE_TRACES": "cloud",
    "SLUICE_TRACE_RATIO": "0.01",
    "SLUICE_METRICS": "cloud",
    "SLUICE_RETENTION_DAYS": "400",
    "SLUICE_ID_INDEX": "true",
}
"""What the expressions of the container's environment come to; the clocks are read from clocks.tf."""


def text_of(name: str) -> str:
    """Return a file of infra/terraform."""
    return (FOLDER / name).read_text()


def clocks() -> dict[str, str]:
    """Return the numbers of `local.clocks`."""
    found = dict(re.findall(r"^    (\w+) += (\d+)\b", text_of("clocks.tf"), re.MULTILINE))
    assert {"ack_deadline_s", "retry_backoff_max_s"} <= found.keys()
    return found


def environment(*, without: str = "SLUICE_STREAMS") -> dict[str, str]:
    """Return the container's environment, as Terraform would make it of the defaults, for one type or for streams."""
    made = {}
    for name, expression in re.findall(r"^    (SLUICE_\w+) += (.+)$", text_of("cloud_run.tf"), re.MULTILINE):
        literal = re.fullmatch(r'"([^"$]*)"', expression)
        clock = re.fullmatch(r"tostring\(local\.clocks\.(\w+)\)", expression)
        if literal:
            made[name] = literal[1]
        elif clock and clock[1] in clocks():
            made[name] = clocks()[clock[1]]
        elif name != "SLUICE_PLATFORM_IAM":
            made[name] = _SAMPLES[name]
    del made[without]
    return made | {"SLUICE_CACHE_SECRET": "from Secret Manager, 48 letters and digits"}


def test_the_variables_of_the_container_are_settings() -> None:
    """Each SLUICE_ name in the configuration is one that the service knows."""
    for path in FOLDER.rglob("*.tf"):
        assert set(re.findall(r"SLUICE_[A-Z_]*[A-Z]", path.read_text())) - {"SLUICE_TOKEN"} <= VARIABLES.keys(), path
    assert len(environment()) > 20


@pytest.mark.parametrize("without", ["SLUICE_STREAMS", "SLUICE_RECORD"])
@pytest.mark.parametrize("platform_iam", ["off", "trust"])
def test_the_service_starts_with_what_terraform_tells_it(platform_iam: str, without: str) -> None:
    """The container's environment makes valid settings, on Cloud Run, behind either gate, for one type or streams."""
    environ = {
        **environment(without=without),
        "SLUICE_PLATFORM_IAM": platform_iam,
        "K_SERVICE": "sluice",
        "PORT": "8080",
    }
    settings = load_settings(environ)
    assert settings.auth.platform_iam == platform_iam
    assert settings.auth.push_principals
    assert settings.auth.api_principals
    assert not set(settings.auth.push_principals) & set(settings.auth.api_principals)


def test_the_clocks_are_the_services_defaults() -> None:
    """A clock of clocks.tf that is also a setting has the default that docs/settings.md tells."""
    shared = clocks().keys() & _DEFAULTS.keys()
    assert shared >= {"ack_deadline_s", "retry_backoff_max_s", "dedupe_lookback_s", "tail_max_s"}
    assert {name: float(clocks()[name]) for name in shared} == {name: _DEFAULTS[name] for name in shared}
    assert f"default     = {_DEFAULTS['retention_days']}\n" in text_of("variables_data.tf")


def test_the_tables_lie_as_the_service_expects() -> None:
    """Partitions and clustering are those of app/stores/bigquery/table_layout.py; columns are committed beside."""
    text = text_of("bigquery.tf")
    assert f'partition_column = "{PARTITION_COLUMN}"' in text
    assert re.search(rf'type +?= "{PARTITION_TYPE}"', text)
    assert LAYOUT["requirePartitionFilter"]
    assert LAYOUT["clustering"] == {"fields": [PARTITION_COLUMN]}
    assert re.search(r"clustering +?= \[local.partition_column\]", text)
    for schema in ("table.schema.json", "rejects.schema.json"):
        assert f'{schema}"' in text + text_of("streams.tf")
        columns = {column["name"] for column in json.loads(text_of(schema))}
        assert PARTITION_COLUMN in columns


def simulated(tfvars: str) -> bytes:
    """Return the records of the simulated source."""
    found = re.search(r"records = <<-JSON\n(.*?)\n  JSON\n", tfvars, re.DOTALL)
    assert found is not None
    return found[1].encode()


def test_the_table_function_returns_each_delivery_once() -> None:
    """Copies within the look-back of an earlier row, canaries and rows out of the window are left out."""
    import duckdb  # noqa: PLC0415 - the embedded store's, and slow to import

    stamps = {"a": [100, 105, 2000], "b": [5], "c": [120], "d": [3000], "e": [50, 101], "heartbeat:x": [110]}
    start = "TIMESTAMPTZ '2026-01-01T00:00:00Z'"
    sql = text_of("records_between.sql").replace("${table}", "records").replace("${look_back_s}", "900")
    sql = sql.replace("${since}", "since").replace("${until}", "until")
    assert f"'{CANARY_PREFIX}'" in sql
    (query,) = sqlglot.transpile(sql, read="bigquery", write="duckdb")
    for name, second in (("since", 100), ("until", 3000)):
        query = re.sub(rf"\b{name}\b", f"({start} + to_seconds({second}))", query)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE records (delivery_key VARCHAR, ingest_time TIMESTAMPTZ)")
        for row in ((key, second) for key, seconds in stamps.items() for second in seconds):
            connection.execute(f"INSERT INTO records VALUES (?, {start} + to_seconds(?))", row)  # noqa: S608 - ours
        seen = f"SELECT delivery_key, date_diff('second', {start}, ingest_time) FROM ({query}) ORDER BY ALL"  # noqa: S608 - ours
        found = connection.execute(seen).fetchall()
    # a's copy of 5 s later is left out, its row of half an hour later is not; e's first row lies before the window.
    assert found == [("a", 100), ("a", 2000), ("c", 120)]


def test_the_state_function_returns_the_latest_versions() -> None:
    """By sequence, then by arrival, of the rows before its moment; without copies, canaries and tombstones."""
    import duckdb  # noqa: PLC0415 - the embedded store's, and slow to import

    rows = [
        *[("a", 2, None, "k1", 10), ("a", 1, True, "k2", 20), ("a", None, None, "k3", 30)],
        *[("b", 1, None, "k4", 10), ("b", 1, False, "k5", 20), ("b", 1, None, "k4", 30), ("b", 9, None, "k6", 1000)],
        *[("c", 1, None, "k7", 10), ("c", 2, True, "k8", 20), ("d", 1, None, "k9", 10)],
        *[("d", 2, None, "heartbeat:x", 20), ("e", 1, None, "k10", -5000)],
    ]
    start = "TIMESTAMPTZ '2026-01-01T00:00:00Z'"
    within = text_of("records_between.sql").replace("${table}", "records").replace("${look_back_s}", "900")
    within = within.replace("${since}", "since").replace("${until}", "as_of")
    rank, alive = "`number` DESC, `ingest_time` DESC, `delivery_key` DESC", "`gone` IS NOT TRUE"
    sql = text_of("records_state.sql").replace("${records}", within).replace("${id}", "id")
    (query,) = sqlglot.transpile(
        sql.replace("${rank}", rank).replace("${alive}", alive), read="bigquery", write="duckdb"
    )
    for name, second in (("since", 0), ("as_of", 1000)):
        query = re.sub(rf"\b{name}\b", f"({start} + to_seconds({second}))", query)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE records (id VARCHAR, number INT, gone BOOL, delivery_key VARCHAR, ingest_time TIMESTAMPTZ)"
        )
        for row in rows:
            connection.execute(f"INSERT INTO records VALUES (?, ?, ?, ?, {start} + to_seconds(?))", row)  # noqa: S608 - ours
        found = connection.execute(f"SELECT id, delivery_key FROM ({query}) ORDER BY ALL").fetchall()  # noqa: S608 - ours
    assert found == [("a", "k1"), ("b", "k5"), ("d", "k9")]


def test_no_key_is_ever_made() -> None:
    """Nothing in the configuration makes a key of a service account, or puts a secret's value into the state."""
    for path in FOLDER.rglob("*.tf"):
        made = set(re.findall(r'^(?:resource|data) "(\w+)"', path.read_text(), re.MULTILINE))
        assert "google_service_account_key" not in made, path
        assert not re.search(r"\bsecret_data +=", path.read_text()), "write-only, or with gcloud"
        # What marks canaries is in the state, and good for nothing else (app/ingest/decode/envelope.py).
        assert "random_password" not in made or path.name == "heartbeat.tf"
        assert 'allUsers"' not in path.read_text(), path
