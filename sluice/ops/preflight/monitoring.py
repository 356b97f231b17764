"""After: every alert's and every tile's query through Cloud Monitoring's own PromQL, and the people they notify. Pure.

The queries are those that Cloud Monitoring has, not those of the files: what is read back is what will be evaluated.
A query is asked at https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.location.prometheus.api.v1/query; it
answers as Prometheus does (`status`, `errorType`, `error`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.ops.preflight.check import Act, Ask, first_failure, unreadable
from sluice.ops.preflight.finding import Failed, Finding, Held
from sluice.ops.preflight.google import Answer, Google, Question
from sluice.ops.preflight.plan import Deployment

MONITORING = "monitoring.googleapis.com"
_PREFIX = "Sluice"


def _policies(deployment: Deployment) -> Question:
    return Question(MONITORING, f"v3/projects/{deployment.project}/alertPolicies")


def _dashboards(deployment: Deployment) -> Question:
    return Question(MONITORING, f"v1/projects/{deployment.project}/dashboards")


def query_question(deployment: Deployment, query: str) -> Question:
    """Return the question for the present value of a PromQL query."""
    path = f"v1/projects/{deployment.project}/location/global/prometheus/api/v1/query"
    return Question(MONITORING, path, {"query": query}, method="POST")


def ours(policies: Answer) -> list[Mapping[str, Any]]:
    """Return the alert policies that Terraform made.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#AlertPolicy
    """
    return [each for each in policies.body.get("alertPolicies", ()) if _is_ours(each)]


def _is_ours(policy: Mapping[str, Any]) -> bool:
    is_named = str(policy.get("displayName")).startswith(f"{_PREFIX}:")
    return is_named or (policy.get("userLabels") or {}).get("product") == "sluice"


def policy_queries(policy: Mapping[str, Any]) -> list[str]:
    """Return the PromQL of a policy's conditions."""
    conditions = [each.get("conditionPrometheusQueryLanguage") or {} for each in policy.get("conditions", ())]
    return [str(each["query"]) for each in conditions if each.get("query")]


def judge_policies(_: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that there are alerts, that none is switched off, and that each has a channel."""
    policies = ours(answers[0])
    if not policies:
        return Failed("Cloud Monitoring has no alert of this system", "`terraform apply`")
    off = [str(each["displayName"]) for each in policies if each.get("enabled") is False]
    silent = [str(each["displayName"]) for each in policies if not each.get("notificationChannels")]
    failures = []
    if off:
        failures.append(Failed(f"switched off: {', '.join(off)}", "switch them on in the console, or apply"))
    if silent:
        failures.append(Failed(f"no channel for: {', '.join(silent)}", "name a channel in `on_call`, and apply"))
    return first_failure(failures, f"{len(policies)} alerts are on, and each notifies a person")


def _channel_questions(deployment: Deployment) -> Sequence[Question]:
    return [Question(MONITORING, f"v3/projects/{deployment.project}/notificationChannels"), _policies(deployment)]


def judge_channels(_: Deployment, answers: Sequence[Answer]) -> Finding:
    """Check that the channels of the alerts are on and verified.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.notificationChannels#NotificationChannel
    """
    used = {name for policy in ours(answers[1]) for name in policy.get("notificationChannels") or ()}
    channels = [each for each in answers[0].body.get("notificationChannels", ()) if each.get("name") in used]
    failures = [
        Failed(f"the channel {each.get('displayName')} is switched off", "switch it on in the console")
        for each in channels
        if each.get("enabled") is False
    ]
    failures += [
        Failed(f"the channel {each.get('displayName')} is not verified", "its owner confirms it in the console")
        for each in channels
        if each.get("verificationStatus") == "UNVERIFIED"
    ]
    return first_failure(failures, f"{len(channels)} channels are on")


def evaluate_alerts(deployment: Deployment, google: Google) -> Finding:
    """Ask Cloud Monitoring for the value of every alert's query."""
    question = _policies(deployment)
    answer = google.ask(question)
    if (trouble := unreadable(question, answer, ())) is not None:
        return trouble
    queries = [(str(policy.get("displayName")), query) for policy in ours(answer) for query in policy_queries(policy)]
    return _evaluated(deployment, google, queries, "alerts")


def evaluate_tiles(deployment: Deployment, google: Google) -> Finding:
    """Ask Cloud Monitoring for the value of every query of the dashboard."""
    question = _dashboards(deployment)
    answer = google.ask(question)
    if (trouble := unreadable(question, answer, ())) is not None:
        return trouble
    dashboards = [
        each for each in answer.body.get("dashboards", ()) if str(each.get("displayName")).startswith(_PREFIX)
    ]
    if not dashboards:
        return Failed("Cloud Monitoring has no dashboard of this system", "`terraform apply`")
    queries = [(title, query) for each in dashboards for title, query in tile_queries(each)]
    return _evaluated(deployment, google, queries, "tiles")


def tile_queries(node: Any, title: str = "") -> Iterator[tuple[str, str]]:
    """Yield the title of the nearest tile and the PromQL of every query in a dashboard.

    https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards#TimeSeriesQuery (`prometheusQuery`)
    """
    if isinstance(node, Mapping):
        title = str(node.get("title") or title)
        if isinstance(node.get("prometheusQuery"), str):
            yield title, node["prometheusQuery"]
        for each in node.values():
            yield from tile_queries(each, title)
    elif isinstance(node, list):
        for each in node:
            yield from tile_queries(each, title)


def _evaluated(deployment: Deployment, google: Google, queries: Sequence[tuple[str, str]], what: str) -> Finding:
    answers = []
    for title, query in queries:
        question = query_question(deployment, query)
        answer = google.ask(question)
        if (trouble := unreadable(question, answer, {400, 422})) is not None:
            return trouble
        answers.append((title, answer))
    return judge_queries(answers, what)


def judge_queries(answers: Sequence[tuple[str, Answer]], what: str) -> Finding:
    """Judge the answers to queries, by the title of their alert or tile."""
    if not answers:
        return Failed(f"there are no {what} with a PromQL query", "`terraform apply`")
    refused = [
        (title, answer.message)
        for title, answer in answers
        if not answer.is_good or answer.body.get("status") != "success"
    ]
    if refused:
        title, message = refused[0]
        names = ", ".join(dict.fromkeys(name for name, _ in refused))
        return Failed(
            f"Cloud Monitoring refuses {len(refused)} of {len(answers)} queries of {what} ({names}); {title!r} with: "
            f"{message}".rstrip("."),
            "`terraform apply`; if it is refused still, report it with --transcript: it would never fire",
        )
    silent = sum(not ((answer.body.get("data") or {}).get("result")) for _, answer in answers)
    return Held(f"Cloud Monitoring evaluates all {len(answers)} queries of {what}; {silent} have no series now")


CHECKS = (
    Ask(
        name="alerts",
        phase="after",
        needs="nothing",
        about="there are alerts, all on, and each notifies a person",
        questions=lambda deployment: [_policies(deployment)],
        verdict=judge_policies,
    ),
    Ask(
        name="channels",
        phase="after",
        needs="nothing",
        about="the notification channels are on and verified",
        questions=_channel_questions,
        verdict=judge_channels,
    ),
    Act(
        name="alert-queries",
        phase="after",
        needs="nothing",
        about="Cloud Monitoring evaluates every alert's query",
        run=evaluate_alerts,
    ),
    Act(
        name="dashboard",
        phase="after",
        needs="nothing",
        about="the dashboard is there, and Cloud Monitoring evaluates the query of every tile",
        run=evaluate_tiles,
    ),
)
