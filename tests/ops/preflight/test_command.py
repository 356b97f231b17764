"""`sluice preflight`: its names, its options, and the file for an issue."""

import re
from pathlib import Path

import pytest

from sluice.ops.preflight.__main__ import GOOD, WRONG, main
from sluice.ops.preflight.catalogue import CHECKS
from sluice.ops.preflight.plan import Deployment, read_tfvars, settings_trouble, with_service
from sluice.ops.preflight.project import FIRST_APIS, OTHER_APIS
from tests.ops.preflight.asking import OFFLINE, ask, findings, new_project
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import NUMBER, PROJECT, READER, URL
from tests.support.google_cloud.server import serving

TERRAFORM = Path(__file__).parents[3] / "infra" / "terraform"
ONLINE = [check.name for check in CHECKS if check.name not in OFFLINE]


def test_names_come_from_the_variables_of_an_environment() -> None:
    """Of each environment's file, as it is in the repository."""
    for file in sorted((TERRAFORM / "environments").glob("*.tfvars")):
        if file.name.endswith(".bootstrap.tfvars"):
            continue
        found = read_tfvars(file.read_text())
        assert found["project"] == f"my-company-sluice-{file.stem}"
        assert (found["region"], found["location"]) == ("europe-west1", "EU")
        assert found["number"].isdecimal()
        assert found["max_instances"] >= 2
    text = 'system = "orders" # ours\npublishers = ["user:a@b.c",\n  "group:d@e.f"]\ncpu = "2"\n'
    expected = {"system": "orders", "cpu": 2, "members": ("user:a@b.c", "group:d@e.f")}
    assert read_tfvars(text) == expected


STREAMS_TFVARS = """
streams = {
  records  = {}
  payments = { record_id = "a = {", retention_days = 30 }
  "visits" = {
    topic_schema = { type = "AVRO", definition = "{}" }
  }
}
settings           = { SLUICE_BIGQUERY_MAX_CONNECTIONS = "20" }
instances          = { min = 1, max = 13 }
append_connections = 1040
"""


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", "held", "80 of 10,000 connections for appends, at most (10 instances, 2 tables, 4 each)"),
        (STREAMS_TFVARS, "held", "1,040 of 1,040 connections for appends, at most (13 instances, 4 tables, 20 each)"),
        (STREAMS_TFVARS.replace("1040", "1039"), "failed", "may open 1,040 connections for appends (13 instances, "),
        (STREAMS_TFVARS.replace("append", "#"), "held", "1,040 of 10,000 connections"),
        (STREAMS_TFVARS.replace("append", 'location = "europe-west1" #'), "failed", "takes 1,000 in europe-west1"),
    ],
)
def test_the_connections_of_all_streams_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, kind: str, said: str
) -> None:
    """Those that the variables plan, before anything runs, against the quota of the location."""
    file = tmp_path / "dev.tfvars"
    file.write_text(f'project_id = "{PROJECT}"\nregion = "europe-west1"\n{text}')
    with serving(new_project()) as url:
        main(["before", "--tfvars", str(file), "--endpoint", f"*={url}", "--only", "connections"])
    found = findings(capsys.readouterr().out)["connections"]
    assert found[0] == kind
    assert said in found[1]


def test_the_number_of_the_variables_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pub/Sub's own account is named by it, so a wrong one breaks the first apply."""
    file = tmp_path / "dev.tfvars"
    file.write_text(f'project_id = "{PROJECT}"\nproject_number = "42"\nregion = "europe-west1"\n')
    with serving(new_project()) as url:
        assert main(["--tfvars", str(file), "--endpoint", f"*={url}", "--only", "project"]) == 1
    assert f'write project_number = "{NUMBER}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "rules", "kind"),
    [
        (("user:ann@example.com",), [{"values": {"allowedValues": ["C03xyz123"]}}], "not looked at"),
        (("user:ann@example.com",), [{"denyAll": True}], "failed"),
        (("user:ann@example.com",), [{"allowAll": True}], "held"),
        ((f"serviceAccount:shop@{PROJECT}.iam.gserviceaccount.com",), [{"denyAll": True}], "held"),
    ],
)
def test_members_from_outside_are_compared_with_the_policy(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    rules: list[dict[str, object]],
    kind: str,
) -> None:
    """Only the directory knows who belongs to a customer; accounts of the project always do."""
    project = new_project()
    project.resources[f"{google.POLICIES}/iam.allowedPolicyMemberDomains:getEffectivePolicy"]["spec"] = {"rules": rules}
    file = tmp_path / "dev.tfvars"
    file.write_text("publishers = [" + ", ".join(f'"{each}"' for each in options) + "]\n")
    _, found = ask(project, capsys, "--tfvars", str(file), "--only", "policy-members")
    assert found["policy-members"][0] == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("in:eu-locations", "held"),
        ("in:europe-west1-locations", "failed"),
        ("in:europe-locations", "not looked at"),
        ("europe-west1", "failed"),
    ],
)
def test_locations_are_compared_as_far_as_their_groups_are_known(
    capsys: pytest.CaptureFixture[str], value: str, kind: str
) -> None:
    """The region alone does not allow the multi-region of the data."""
    project = new_project()
    rules = [{"values": {"allowedValues": [value]}}]
    project.resources[f"{google.POLICIES}/gcp.resourceLocations:getEffectivePolicy"]["spec"] = {"rules": rules}
    _, found = ask(project, capsys, "--only", "policy-locations")
    assert found["policy-locations"][0] == kind


def test_data_far_from_the_service_is_found_without_asking(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first apply neither API may be enabled, and two names are enough."""
    project = new_project()
    project.off |= {"run.googleapis.com", "bigquery.googleapis.com"}
    _, found = ask(project, capsys, "--location", "US", "--only", "locations")
    assert found["locations"][0] == "failed"
    _, found = ask(project, capsys, "--location", "europe-west1", "--only", "locations")
    assert found["locations"][0] == "held"


def test_a_rate_that_the_instances_cannot_take_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """And without a rate the quotas are not looked at."""
    _, found = ask(new_project(), capsys, "--rate", "50k/s", "--only", "quota-instances")
    assert "raise instances.max" in found["quota-instances"][1]
    with serving(new_project()) as url:
        names = ["--project", PROJECT, "--region", "europe-west1", "--endpoint", f"*={url}"]
        assert main([*names, "--only", "quota-appends", "quota-pushes", "quota-instances"]) == GOOD
    assert capsys.readouterr().out.count("give --rate 1000/s") == 3


def test_the_transcript_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No token, e-mail, project, number or address; equal names stay equal."""
    project, file = new_project(), tmp_path / "transcript.txt"
    project.resources[google.SUBSCRIPTION]["pushConfig"]["oidcToken"]["serviceAccountEmail"] = "eve@example.com"
    project.environ["SLUICE_API_PRINCIPALS"] = "eve@example.com"
    status, _ = ask(project, capsys, "--transcript", str(file), "--only", *ONLINE)
    assert status == 1
    text = file.read_text()
    secrets = (PROJECT, NUMBER, URL, READER, "eve@example.com", "example.com", project.token("x"))
    assert [secret for secret in secrets if secret in text] == []
    assert not re.search(r"\S@\S", text)
    assert project.environ["SLUICE_HEARTBEAT_SIGNATURE"] not in text
    (token,) = re.findall(r"^failed +subscription-token: tokens are of (EMAIL-\d+)", text, re.MULTILINE)
    assert f"names {token}" in text  # of SLUICE_API_PRINCIPALS, in the line of `reader`
    assert "PROJECT" in text
    assert "200 GET pubsub.googleapis.com/v1/projects/PROJECT/subscriptions/sluice-push" in text


def test_an_answer_of_another_shape_is_not_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """One defect does not hide what the other checks find."""
    project = new_project()
    project.resources[google.SUBSCRIPTION]["retryPolicy"] = "often"
    status, found = ask(project, capsys, "--only", "subscription", "subscription-clocks")
    assert (status, found["subscription"][0], found["subscription-clocks"][0]) == (GOOD, "held", "not looked at")


def test_a_google_that_does_not_answer_is_not_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is that of the connection."""
    assert main(["--project", PROJECT, "--region", "r", "--endpoint", "*=http://127.0.0.1:9", "--only", "project"]) == 0
    assert "could not be asked" in capsys.readouterr().out


def test_every_check_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without asking anything; a name that is no check is an error."""
    assert main(["--list"]) == GOOD
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in listed] == [check.name for check in CHECKS]
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert main(["--only", "everything"]) == WRONG
    assert main(["before"]) == WRONG
    assert "--tfvars" in capsys.readouterr().err
    assert main(["--project", "p", "--region", "r", "--rate", "fast"]) == WRONG


def test_without_credentials_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing was asked."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Not by its variable, which the library would read at its import, for every later test of the process.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    assert main(["--project", PROJECT, "--region", "europe-west1", "--only", "project"]) == WRONG
    assert "gcloud auth application-default login" in capsys.readouterr().err


def test_the_apis_are_those_that_terraform_enables() -> None:
    """Those that are always used; what an option needs is enabled with the option."""
    always = (TERRAFORM / "apis.tf").read_text().split("\n    ],")[0]
    enabled = re.findall(r'"([a-z]+\.googleapis\.com)"', always + (TERRAFORM / "bootstrap" / "apis.tf").read_text())
    assert {*FIRST_APIS, *OTHER_APIS} == set(enabled)


def test_a_secret_of_the_service_is_not_shown_and_breaks_no_rule() -> None:
    """The preflight sees that there is a key, and not which: the settings must still be understood."""
    env: list[dict[str, object]] = [{"name": name, "value": value} for name, value in google.ENVIRON.items()]
    env += [{"name": name, "valueSource": {}} for name in ("SLUICE_PII_SECRET", "SLUICE_SIGNING_SECRET")]
    service = {"template": {"containers": [{"env": env}]}}
    deployment = with_service(Deployment(project=google.PROJECT, region=google.REGION), service)
    assert settings_trouble(deployment) == ""
