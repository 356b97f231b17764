"""What a check looks at, broken alone: exactly that check fails, and its line says what to do."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from sluice.ops.preflight.checks import CHECKS, Failed, Finding, Held, NotChecked, line, run_checks
from sluice.ops.preflight.deployment import DeploymentError, read_deployment
from tests.ops.preflight.project import ACCOUNT, SERVICE, URL, Project, healthy

Break = Callable[[Project], Any]


def findings(project: Project) -> dict[str, Finding]:
    """Return the finding of each check."""
    return dict(run_checks(read_deployment(project.names, project), project, CHECKS))


def service(**members: Any) -> Break:
    """Replace members of the service."""
    return lambda project: project.resources[SERVICE].update(members)


def subscription(**members: Any) -> Break:
    """Replace members of the push subscription."""
    return lambda project: project.resources[project.subscription].update(members)


def push(**members: Any) -> Break:
    """Replace members of the subscription's push."""
    return lambda project: project.resources[project.subscription]["pushConfig"].update(members)


def variables(**values: str) -> Break:
    """Change settings of the running service."""
    return lambda project: project.environ.update(values)


def lose(path: Callable[[Project], str]) -> Break:
    """Remove a resource."""
    return lambda project: project.resources.pop(path(project))


BROKEN: list[tuple[str, str, Break, str]] = [
    (
        "the sample still runs",
        "revision",
        service(template={"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}),
        "deploy (docs/deploy.md)",
    ),
    (
        "the rollout stopped half-way",
        "revision",
        service(trafficStatuses=[{"revision": "sluice-00002-abc", "percent": 50}]),
        "let the deployment end",
    ),
    ("both gates are closed", "gate", service(invokerIamDisabled=False), "keep_invoker_check"),
    ("both gates are open", "gate", variables(SLUICE_PLATFORM_IAM="trust"), "terraform apply` at once"),
    ("the topic is deleted", "push", subscription(topic="_deleted-topic_"), "terraform apply"),
    ("no pushes", "push", subscription(pushConfig={}), "pushes = true"),
    ("another audience", "push", variables(SLUICE_PUSH_AUDIENCE="other"), "terraform apply"),
    ("a short ack deadline", "clocks", subscription(ackDeadlineSeconds=10), "terraform apply"),
    ("no dead letters", "dead-letters", subscription(deadLetterPolicy=None), "terraform apply"),
    ("no token can be made", "pubsub-account", lose(lambda _: ACCOUNT), "terraform apply"),
]


@pytest.mark.parametrize("stream", ["", "payments"])
def test_everything_holds_in_a_healthy_project(stream: str) -> None:
    """For a single type, and for the resources of a named stream."""
    assert {name: type(finding) for name, finding in findings(healthy(stream)).items()} == dict.fromkeys(CHECKS, Held)


@pytest.mark.parametrize(("name", "broken", "cure"), [pytest.param(n, b, c, id=i) for i, n, b, c in BROKEN])
def test_what_is_broken_fails_its_check(name: str, broken: Break, cure: str) -> None:
    """Exactly the check that looks at it fails, and its line names the cure."""
    project = healthy()
    broken(project)
    found = findings(project)
    assert [each for each, finding in found.items() if isinstance(finding, Failed)] == [name]
    assert cure in line(name, found[name]).partition("Cure: ")[2]


@pytest.mark.parametrize(
    ("broken", "name", "why"),
    [
        (lambda project: setattr(project, "forbidden", ":getIamPolicy"), "pubsub-account", "Permission denied"),
        (subscription(retryPolicy="often"), "clocks", "not as documented"),
    ],
)
def test_what_cannot_be_asked_is_not_a_failure_of_the_deployment(broken: Break, name: str, why: str) -> None:
    """It hides nothing of what the other checks find."""
    project = healthy()
    broken(project)
    found = findings(project)
    assert {each for each, finding in found.items() if not isinstance(finding, Held)} == {name}
    assert isinstance(found[name], NotChecked)
    assert why in line(name, found[name])


def test_two_services_are_looked_at_together() -> None:
    """The one that ingests gets the pushes and has their settings; it, too, must have its traffic."""
    project = healthy()
    env = [{"name": name, "value": project.environ.pop(name)} for name in [*project.environ] if "_PUSH_" in name]
    ingest = deepcopy(project.resources[SERVICE])
    ingest["uri"] = URL.replace("sluice", "sluice-ingest")
    ingest["template"]["containers"][0]["env"] = [*env, {"name": "SLUICE_ROLES", "value": "ingest"}]
    project.environ["SLUICE_ROLES"] = "query"
    project.resources[f"{SERVICE}-ingest"] = ingest
    assert [name for name, finding in findings(project).items() if isinstance(finding, Failed)] == ["push"]
    push(pushEndpoint=f"{ingest['uri']}/pubsub/push")(project)
    assert {type(finding) for finding in findings(project).values()} == {Held}
    ingest["trafficStatuses"] = []
    assert [name for name, finding in findings(project).items() if isinstance(finding, Failed)] == ["revision"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lose(lambda _: SERVICE), "there is no service sluice in europe-west1: `terraform apply`"),
        (variables(SLUICE_SETTEL_S="90"), "does not accept the service's settings.*SLUICE_SETTEL_S"),
        (variables(SLUICE_RECORD="", SLUICE_STREAMS="tests.streams.market:STREAMS"), "give --stream NAME"),
        (lambda project: setattr(project, "names", healthy("payments").names), "the service has a single type"),
    ],
)
def test_without_a_service_that_is_understood_there_is_nothing_to_check(broken: Break, why: str) -> None:
    """The error says what to do."""
    project = healthy()
    broken(project)
    with pytest.raises(DeploymentError, match=why):
        findings(project)


def test_a_secret_of_the_service_is_not_shown_and_breaks_no_rule() -> None:
    """The preflight sees that there is a key, and not which: the settings must still be understood."""
    project = healthy()
    resource = project.ask("run.googleapis.com", SERVICE.partition("/")[2])
    assert resource is not None
    env = resource["template"]["containers"][0]["env"]
    env += [{"name": name, "valueSource": {}} for name in ("SLUICE_PII_SECRET", "SLUICE_SIGNING_SECRET")]
    project.resources[f"{SERVICE}-ingest"] = resource
    assert (
        read_deployment(project.names, project).settings.auth.push_audience == project.environ["SLUICE_PUSH_AUDIENCE"]
    )
