from pathlib import Path

import pytest

from app.settings.load import PREFIX, VARIABLES, Settings, SettingsError, load_settings
from sluice.cli.settings import settings_tables

_DOCUMENT = Path(__file__).parents[2] / "docs/settings.md"
_TITLE = "# Settings\n\n"
_PUBLIC = {"SLUICE_HOST": "0.0.0.0", "SLUICE_API_PRINCIPALS": "reader@example.com"}  # noqa: S104 - what is tested


def _load(**variables: str) -> Settings:
    return load_settings({PREFIX + name.upper(): value for name, value in variables.items()})


def test_the_defaults_are_valid() -> None:
    """An empty environment makes the settings of a laptop; other programs' variables are not looked at."""
    assert load_settings({}) == Settings() == load_settings({"HOME": "/root", "sluice_port": "x", "XSLUICE_PORT": "x"})
    assert Settings().server.is_loopback


def test_values_are_read_by_their_types() -> None:
    """Numbers, names, lists and choices are read from text."""
    settings = _load(
        host="::1",
        port="9090",
        roles="query, ingest,",
        data_path="/data/x.duckdb",
        push_principals=" a@example.com ,b@example.com",
        settle_s="22.5",
        max_reads="10",
        requests_per_minute="0",
    )
    assert (settings.server.host, settings.server.port, settings.server.roles) == ("::1", 9090, ("query", "ingest"))
    assert settings.auth.push_principals == ("a@example.com", "b@example.com")
    assert (settings.store.settle_s, settings.query.max_reads, settings.auth.requests_per_minute) == (22.5, 10, 0)
    assert _load(push_principals="").auth.push_principals == _load(push_principals=" , ").auth.push_principals == ()


def test_port_counts_when_sluice_port_is_not_set() -> None:
    """Cloud Run says the port in $PORT; SLUICE_PORT wins over it, and a bad $PORT that is not used does no harm."""
    assert load_settings({"PORT": "8081"}).server.port == 8081
    assert load_settings({"PORT": "8081", "SLUICE_PORT": "8082"}).server.port == 8082
    assert load_settings({"PORT": "http", "SLUICE_PORT": "8082"}).server.port == 8082
    with pytest.raises(SettingsError, match=r"^PORT: Expected `int`, got `str`\. The port to listen on"):
        load_settings({"PORT": "http"})


def test_unknown_settings_are_refused_by_name() -> None:
    """A misspelt setting is an error that names it."""
    with pytest.raises(SettingsError) as refused:
        load_settings({"SLUICE_PROT": "1", "SLUICE_": "2", "SLUICE_HOST": "localhost"})
    assert str(refused.value) == ("unknown setting SLUICE_, SLUICE_PROT; `sluice settings` lists all settings")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "http"),
        ("port", "65536"),
        ("port", ""),
        ("roles", "ingest,admin"),
        ("token_keys_url", "file:///etc/passwd"),
        ("requests_per_minute", "-1"),
        ("settle_s", "0"),
        ("request_budget_s", "nan"),
        ("retry_backoff_max_s", "1e9"),
        ("max_in_flight_bytes", "1 MiB"),
    ],
)
def test_a_value_of_the_wrong_type_names_its_variable(name: str, value: str) -> None:
    """What cannot be read as the setting's type is an error that begins with the variable."""
    with pytest.raises(SettingsError) as refused:
        _load(**{name: value})
    assert str(refused.value).startswith(f"SLUICE_{name.upper()}: ")


@pytest.mark.parametrize("name", ["signing_secret", "heartbeat_signature", "pii_secret", "cache_secret", "cache_url"])
@pytest.mark.parametrize("value", ["hunter2", " " + "hunter2" * 3, "hunter2" * 3 + "\n"])
def test_a_secret_that_proves_little_is_refused_and_not_quoted(name: str, value: str) -> None:
    """One that could be guessed, or that came out of a file with its line feed."""
    with pytest.raises(SettingsError) as refused:
        _load(**{name: value})
    assert str(refused.value).startswith(f"SLUICE_{name.upper()}: ")
    assert "hunter2" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    """Whatever shows settings shows that a secret is set, and not the secret."""
    private = {
        "signing_secret": "a very private secret",
        "heartbeat_signature": "a quite private mark",
        "cache_url": "valkey://user:password@10.0.0.3:6379/0",
        "cache_secret": "the key of what is shared, in private",
    }
    settings = _load(**private, port="81")
    for shown in (repr(settings), f"{settings}", repr([settings])):
        assert "signing_secret" in shown
        assert "81" in shown
        assert not [secret for secret in private.values() if secret in shown]
    assert "signing_secret=''" in repr(_load())


def test_a_shared_cache_needs_its_secret() -> None:
    """Without it anyone who reaches the server could read answers and make some up."""
    with pytest.raises(SettingsError, match=r"^SLUICE_CACHE_URL needs SLUICE_CACHE_SECRET"):
        _load(cache_url="valkey://10.0.0.3")


def test_bigquery_needs_to_be_told_where() -> None:
    """Both are named at once, with an example; nothing is guessed from credentials."""
    with pytest.raises(SettingsError) as refused:
        _load(backend="bigquery")
    assert "SLUICE_BIGQUERY_PROJECT must be set" in str(refused.value)
    assert "SLUICE_BIGQUERY_DATASET must be set" in str(refused.value)
    assert _load(backend="bigquery", bigquery_project="p", bigquery_dataset="d").store.backend == "bigquery"
    with pytest.raises(SettingsError, match=r"^SLUICE_BIGQUERY_REST_URL: "):
        _load(bigquery_rest_url="bigquery.googleapis.com")
    with pytest.raises(SettingsError, match=r"^SLUICE_MIRROR_URL: (?!.*secret)"):
        _load(mirror_url="https://user:secret@sluice.example.com")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"bigquery_project": "my proj/x"}, "SLUICE_BIGQUERY_PROJECT: "),
        ({"bigquery_dataset": "p.d"}, "SLUICE_BIGQUERY_DATASET: "),
        ({"late_commit_margin_s": "0.9"}, "LATE_COMMIT_MARGIN_S: Expected `float` >= 1.0"),
    ],
)
def test_what_bigquery_would_not_take_is_refused_at_the_start(variables: dict[str, str], named: str) -> None:
    """By the name of the variable."""
    good = {"backend": "bigquery", "bigquery_project": "example.com:p-1", "bigquery_dataset": "d_1"}
    _load(**good)
    with pytest.raises(SettingsError) as refused:
        _load(**(good | variables))
    assert named in str(refused.value)


def test_the_fixed_numbers_fit_bigquery() -> None:
    """It accepts 10 MB in one append; a row is stamped and framed, by 16 bytes, when it is sent.

    https://cloud.google.com/bigquery/quotas#write-api-limits
    """
    ingest = Settings().ingest
    assert ingest.max_batch_bytes + 16 * ingest.max_batch_rows <= 10_000_000


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"append_deadline_s": "30", "settle_s": "42"}, ["APPEND_DEADLINE_S (30)", "REQUEST_BUDGET_S (30)"]),
        ({"request_budget_s": "60"}, ["REQUEST_BUDGET_S (60)", "ACK_DEADLINE_S (60)"]),
        ({"ack_deadline_s": "20"}, ["REQUEST_BUDGET_S (30)", "ACK_DEADLINE_S (20)"]),
        ({"settle_s": "21.9"}, ["SETTLE_S (21.9)", "at least 22", "LATE_COMMIT_MARGIN_S", "CLOCK_SKEW_S"]),
        ({"clock_skew_s": "10.1"}, ["SETTLE_S (30)", "at least 30.1"]),
        ({"late_commit_margin_s": "18.1"}, ["SETTLE_S (30)", "at least 30.1"]),
        ({"settle_s": "60"}, ["SETTLE_S (60)", "below 60"]),
        ({"dedupe_lookback_s": "659"}, ["DEDUPE_LOOKBACK_S (659)", "at least 660", "RETRY_BACKOFF_MAX_S"]),
        ({"retry_backoff_max_s": "841"}, ["DEDUPE_LOOKBACK_S (900)", "at least 901"]),
    ],
)
def test_clocks_that_do_not_agree_are_refused(variables: dict[str, str], named: list[str]) -> None:
    """Each inequality between the clocks is checked, and names the variables that break it with their values."""
    with pytest.raises(SettingsError) as refused:
        _load(**variables)
    assert all(f"SLUICE_{name}" in str(refused.value) or name in str(refused.value) for name in named)
    assert ";" not in str(refused.value), "one inequality is broken, and one is reported"


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com", "", "[::1]"])  # noqa: S104 - what is tested
@pytest.mark.parametrize("roles", ["ingest,query", "query", "ingest"])
def test_beyond_loopback_the_api_wants_principals(host: str, roles: str) -> None:
    """An open `/v1` is for loopback addresses only, whatever roles are served: ingest has endpoints there too."""
    with pytest.raises(SettingsError, match="SLUICE_API_PRINCIPALS is empty, so /v1 is open"):
        _load(host=host, roles=roles)
    assert not _load(host=host, roles=roles, api_principals="reader@example.com").server.is_loopback
    assert not _load(host=host, roles=roles, grants_file="grants.json").server.is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_addresses_may_be_open(host: str) -> None:
    """On an address that only this machine reaches no principals are needed."""
    assert _load(host=host).server.is_loopback


def test_those_who_push_may_only_push() -> None:
    """Nobody both list lists."""
    with pytest.raises(SettingsError, match=r"both list b@example\.com:"):
        _load(push_principals="a@example.com,b@example.com", api_principals="b@example.com,c@example.com")
    assert _load(push_principals="a@example.com", api_principals="b@example.com")


def test_the_platform_is_trusted_on_the_platform_only() -> None:
    """`trust` elsewhere than on Cloud Run would believe anybody's claims."""
    with pytest.raises(SettingsError, match="SLUICE_PLATFORM_IAM=trust is allowed on Cloud Run only"):
        _load(platform_iam="trust")
    assert (
        load_settings({"SLUICE_PLATFORM_IAM": "trust", "K_SERVICE": "sluice", **_PUBLIC}).auth.platform_iam == "trust"
    )


def test_the_document_is_what_the_command_prints() -> None:
    """docs/settings.md is a title and what `sluice settings` prints, one row for each setting."""
    printed = settings_tables()
    assert _DOCUMENT.read_text(encoding="utf-8") == _TITLE + printed, (
        "run: (printf '# Settings\\n\\n'; sluice settings) > docs/settings.md"
    )
    assert printed.count("\n| `SLUICE_") == len(VARIABLES)
