"""`sluice preflight`: its names and its options."""

from pathlib import Path

import pytest

from sluice.ops.preflight.__main__ import GOOD, WRONG, main
from sluice.ops.preflight.catalogue import CHECKS
from sluice.ops.preflight.plan import Deployment, read_tfvars, settings_trouble, with_service
from tests.ops.preflight.asking import OFFLINE, ask, new_project
from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import PROJECT

TERRAFORM = Path(__file__).parents[3] / "infra" / "terraform"
ONLINE = [check.name for check in CHECKS if check.name not in OFFLINE]


def test_names_come_from_the_variables_of_an_environment() -> None:
    """Of each environment's file, as it is in the repository."""
    for file in sorted((TERRAFORM / "environments").glob("*.tfvars")):
        if file.name.endswith(".bootstrap.tfvars"):
            continue
        found = read_tfvars(file.read_text())
        assert found["project"] == f"my-company-sluice-{file.stem}"
        assert found["region"] == "europe-west1"
        assert found["number"].isdecimal()
    assert read_tfvars('system = "orders" # ours\ncpu = "2"\n') == {"system": "orders"}


def test_an_answer_of_another_shape_is_not_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """One defect does not hide what the other checks find."""
    project = new_project()
    project.resources[google.SUBSCRIPTION]["retryPolicy"] = "often"
    status, found = ask(project, capsys, "--only", "subscription", "subscription-clocks")
    assert (status, found["subscription"][0], found["subscription-clocks"][0]) == (GOOD, "held", "not looked at")


def test_a_google_that_does_not_answer_is_not_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is that of the connection."""
    assert main(["--project", PROJECT, "--region", "r", "--endpoint", "*=http://127.0.0.1:9", "--only", "service"]) == 0
    assert "could not be asked" in capsys.readouterr().out


def test_every_check_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without asking anything; a name that is no check is an error."""
    assert main(["--list"]) == GOOD
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [check.name for check in CHECKS]
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert main(["--only", "everything"]) == WRONG
    assert main([]) == WRONG
    assert "--tfvars" in capsys.readouterr().err


def test_without_credentials_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing was asked."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Not by its variable, which the library would read at its import, for every later test of the process.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    assert main(["--project", PROJECT, "--region", "europe-west1", "--only", "service"]) == WRONG
    assert "gcloud auth application-default login" in capsys.readouterr().err


def test_a_secret_of_the_service_is_not_shown_and_breaks_no_rule() -> None:
    """The preflight sees that there is a key, and not which: the settings must still be understood."""
    env: list[dict[str, object]] = [{"name": name, "value": value} for name, value in google.ENVIRON.items()]
    env += [{"name": name, "valueSource": {}} for name in ("SLUICE_PII_SECRET", "SLUICE_SIGNING_SECRET")]
    service = {"template": {"containers": [{"env": env}]}}
    deployment = with_service(Deployment(project=google.PROJECT, region=google.REGION), service)
    assert settings_trouble(deployment) == ""
