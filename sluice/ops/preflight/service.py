"""The Cloud Run service as it runs, and the settings that it has. Pure."""

from collections.abc import Sequence

from sluice.ops.preflight.check import Ask, first_failure
from sluice.ops.preflight.finding import Failed, Finding, Held
from sluice.ops.preflight.google import Answer, Question
from sluice.ops.preflight.plan import Deployment, missing_key, settings_trouble

RUN = "run.googleapis.com"
INGEST = "-ingest"
"""The suffix of the service that gets the pushes, where there are two (`services = "two"`)."""
_SAMPLES = ("us-docker.pkg.dev/cloudrun/", "gcr.io/cloudrun/")


def service_question(deployment: Deployment, suffix: str = "") -> Question:
    """Return the question for the resource of the service, or of the one with this suffix."""
    place = f"projects/{deployment.project}/locations/{deployment.region}"
    return Question(RUN, f"v2/{place}/services/{deployment.name}{suffix}")


def _questions(deployment: Deployment) -> Sequence[Question]:
    both = ("", INGEST) if deployment.ingest_service is not None else ("",)
    return [service_question(deployment, suffix) for suffix in both]


def judge_services(deployment: Deployment, answers: Sequence[Answer]) -> Finding:
    """Return the first failure of a service, or what holds for all of them."""
    findings = [judge_service(deployment, answer) for answer in answers]
    failed = next((each for each in findings if isinstance(each, Failed)), None)
    return failed or Held("; ".join(each.said for each in findings if isinstance(each, Held)))


def judge_service(deployment: Deployment, answer: Answer) -> Finding:
    """Check that the service is ready, runs an image of ours, and that its newest revision has the traffic.

    https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services#Service
    """
    if answer.status == 404:
        return Failed(
            f"there is no service {deployment.name} in {deployment.region}", "`terraform apply`, or correct --region"
        )
    service = answer.body
    failures = []
    condition = service.get("terminalCondition") or {}
    if condition.get("state") != "CONDITION_SUCCEEDED":
        failures.append(
            Failed(
                f"the service is not ready: {condition.get('message') or condition.get('state')}",
                "read the log of its newest revision (`gcloud run services logs read`), and deploy again",
            )
        )
    containers = (service.get("template") or {}).get("containers") or [{}]
    if str(containers[0].get("image", "")).startswith(_SAMPLES):
        failures.append(
            Failed(
                "the service still runs Google's sample, which acknowledges every message and stores none",
                "deploy (docs/deploy.md), and set `pushes` only afterwards",
            )
        )
    newest = str(service.get("latestReadyRevision", "")).rpartition("/")[2]
    shares = {_revision(each, newest): each.get("percent", 0) for each in service.get("trafficStatuses", ())}
    if not failures and shares.get(newest, 0) != 100:
        failures.append(
            Failed(
                f"the newest revision, {newest}, has {shares.get(newest, 0)} % of the traffic",
                "let the deployment end, or run it again: `gh workflow run deploy.yml`",
            )
        )
    return first_failure(failures, f"{newest} is ready and has all the traffic")


def _revision(target: dict[str, object], newest: str) -> str:
    is_newest = target.get("type") == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    return newest if is_newest else str(target.get("revision", ""))


def judge_settings(deployment: Deployment, _: Sequence[Answer]) -> Finding:
    """Check that the settings of the running service agree with each other, and with the gate in front of it."""
    if trouble := settings_trouble(deployment):
        return Failed(
            f"this version does not accept the service's settings: {trouble}",
            "correct `settings` in the tfvars and apply, or run the preflight of the version that is deployed",
        )
    if trouble := missing_key(deployment):
        return Failed(
            trouble,
            "add a version to the secret SYSTEM-pii, set `pii_secret_version` and apply (infra/terraform/README.md, "
            "Personal data), and deploy afterwards",
        )
    settings = deployment.settings
    services = [each for each in (deployment.service, deployment.ingest_service) if each is not None]
    is_open = all(each.get("invokerIamDisabled") for each in services)
    if settings.auth.platform_iam == "off" and not is_open:
        return Failed(
            "Cloud Run checks the callers, and so does the service: it will refuse every token, whose signature "
            "Cloud Run replaces",
            "`terraform apply` (keep_invoker_check is for the way from trust to off only)",
        )
    if settings.auth.platform_iam == "trust" and any(each.get("invokerIamDisabled") for each in services):
        return Failed(
            "callers are not checked: the service trusts Cloud Run to do it, and Cloud Run's check is off",
            '`terraform apply` at once with platform_iam = "trust"; until then a caller can claim any identity',
        )
    return Held(f"{len(deployment.environ or {})} settings that agree; one gate is closed")


CHECKS = (
    Ask(
        name="service",
        needs="nothing",
        about="the service is ready, runs your image, and its newest revision has the traffic",
        questions=_questions,
        verdict=judge_services,
        judges={404},
    ),
    Ask(
        name="settings",
        needs="service",
        about="the service's settings agree, and exactly one gate is closed",
        questions=lambda _: [],
        verdict=judge_settings,
    ),
)
