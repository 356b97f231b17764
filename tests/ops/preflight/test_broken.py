"""Each thing that a check looks at, broken alone: exactly that check fails, and its cure says what to do."""

import msgspec
import pytest

from sluice.ops.preflight.__main__ import BAD, GOOD
from sluice.ops.preflight.catalogue import CHECKS
from tests.ops.preflight.asking import OFFLINE, ask, new_project
from tests.ops.preflight.breaking import Break
from tests.ops.preflight.broken import BROKEN
from tests.support.google_cloud import project as google

ONLINE = [check.name for check in CHECKS if check.name not in OFFLINE]


def test_everything_holds_in_a_healthy_project(capsys: pytest.CaptureFixture[str]) -> None:
    """No check fails, none is left out, and the status says so."""
    status, found = ask(new_project(), capsys, "--strict", "--only", *ONLINE)
    assert status == GOOD
    assert {name: kind for name, (kind, _) in found.items()} == dict.fromkeys(ONLINE, "held")


@pytest.mark.parametrize(("name", "broken", "cure"), [pytest.param(n, b, c, id=i) for i, n, b, c in BROKEN])
def test_what_is_broken_fails_its_check(
    capsys: pytest.CaptureFixture[str], name: str, broken: Break, cure: str
) -> None:
    """Exactly the check that looks at it fails, and its line names the cure."""
    project = new_project()
    broken(project)
    status, found = ask(project, capsys, "--only", *ONLINE)
    assert {each for each, (kind, _) in found.items() if kind == "failed"} == {name}
    assert cure in found[name][1].partition("Cure: ")[2]
    assert status == BAD


def test_every_check_is_broken_by_something() -> None:
    """A check that nothing can break would prove nothing."""
    assert set(ONLINE) == {name for _, name, _, _ in BROKEN}


@pytest.mark.parametrize(
    ("off", "unread"),
    [
        ("bigquery.googleapis.com", {"service-account"}),
        ("iamcredentials.googleapis.com", {"reader"}),
    ],
)
def test_an_api_that_is_off_is_not_a_failure_of_what_it_would_tell(
    capsys: pytest.CaptureFixture[str], off: str, unread: set[str]
) -> None:
    """Its checks are not looked at, with the command that enables it; with --strict that is a failure."""
    project = new_project()
    project.off.add(off)
    status, found = ask(project, capsys, "--only", *ONLINE)
    assert status == GOOD
    assert {name for name, (kind, _) in found.items() if kind == "not looked at"} == unread
    assert all(f"gcloud services enable {off}" in found[name][1] for name in unread)
    assert ask(project, capsys, "--strict", "--only", *ONLINE)[0] == BAD


def test_a_missing_right_to_look_is_not_a_failure_of_the_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    """What the caller may not read is not looked at, in Google's own words."""
    project = new_project()
    project.forbidden.add(":getIamPolicy")
    _, found = ask(project, capsys, "--only", "pubsub-account")
    assert found["pubsub-account"][0] == "not looked at"
    assert "Permission denied" in found["pubsub-account"][1]


def test_before_the_first_apply_there_is_nothing_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Only `service` fails; what depends on it says so."""
    project = new_project()
    del project.resources[google.RUN]
    _, found = ask(project, capsys)
    assert found["service"][0] == "failed"
    assert {kind for name, (kind, _) in found.items() if name != "service"} == {"not looked at"}


def test_two_services_are_looked_at_together(capsys: pytest.CaptureFixture[str]) -> None:
    """The one that ingests gets the pushes and has their settings; it, too, must be ready."""
    project = new_project()
    push = {name: project.environ.pop(name) for name in list(project.environ) if name.startswith("SLUICE_PUSH_")}
    ingest = msgspec.json.decode(msgspec.json.encode(project.resources[google.RUN]))
    url = "https://sluice-ingest-100000000001.europe-west1.run.app"
    env = [{"name": name, "value": value} for name, value in {**push, "SLUICE_ROLES": "ingest"}.items()]
    ingest["uri"], ingest["template"]["containers"][0]["env"] = url, env
    project.environ["SLUICE_ROLES"] = "query"
    project.resources[f"{google.RUN}-ingest"] = ingest
    ingest["template"]["serviceAccount"] = "other@example.com"
    _, found = ask(project, capsys, "--only", "service-account")
    assert "other@example.com lacks roles/bigquery.dataEditor" in found["service-account"][1]
    ingest["template"]["serviceAccount"] = google.SERVICE
    _, found = ask(project, capsys, "--only", *ONLINE)
    assert {name for name, (kind, _) in found.items() if kind != "held"} == {"subscription-push"}
    project.resources[google.SUBSCRIPTION]["pushConfig"]["pushEndpoint"] = f"{url}/pubsub/push"
    _, found = ask(project, capsys, "--only", *ONLINE)
    assert {kind for kind, _ in found.values()} == {"held"}
    ingest["terminalCondition"]["state"] = "CONDITION_FAILED"
    assert ask(project, capsys, "--only", "service")[1]["service"][0] == "failed"


def test_without_flags_nothing_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    """The two checks that write name their flags."""
    _, found = ask(new_project(), capsys, "--only", "canary", "dead-letter")
    assert found["canary"] == ("not looked at", "it writes: give --canary")
    assert found["dead-letter"] == ("not looked at", "it writes: give --dead-letter")
