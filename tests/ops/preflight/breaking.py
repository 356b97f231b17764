"""Ways to break a project: each returns a function that changes it."""

from collections.abc import Callable
from typing import Any

from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import Project

Break = Callable[[Project], Any]
_QUOTAS = f"{google.USAGE}/v1beta1/projects/{google.PROJECT}/services/%s/consumerQuotaMetrics"


def change(path: str, **members: Any) -> Break:
    """Replace members of a resource."""
    return lambda project: project.resources[path].update(members)


def lose(path: str, *members: str) -> Break:
    """Remove members of a resource."""
    return lambda project: [project.resources[path].pop(member) for member in members]


def missing(path: str) -> Break:
    """Remove a resource."""
    return lambda project: project.resources.pop(path)


def inside(path: str, *keys: str | int, **members: Any) -> Break:
    """Replace members below a resource; None removes one."""

    def run(project: Project) -> None:
        node: Any = project.resources[path]
        for key in keys:
            node = node[key]
        for name, value in members.items():
            if value is None:
                node.pop(name)
            else:
                node[name] = value

    return run


def without(role: str) -> Break:
    """Take a role on the project back from everyone."""

    def run(project: Project) -> None:
        policy = project.resources[f"{google.RESOURCES}:getIamPolicy"]
        policy["bindings"] = [each for each in policy["bindings"] if each["role"] != role]

    return run


def variables(**values: str) -> Break:
    """Change settings of the running service."""
    return lambda project: project.environ.update(values)


def together(*breaks: Break) -> Break:
    """Break several things, which are wrong only together."""
    return lambda project: [each(project) for each in breaks]


def policy(constraint: str, *rules: dict[str, Any]) -> Break:
    """Set an organisation policy."""
    return change(f"{google.POLICIES}/{constraint}:getEffectivePolicy", spec={"rules": list(rules)})


def quota(service: str, limit: str) -> Break:
    """Lower the last bucket of a service's quota."""
    metric = ("metrics", 0, "consumerQuotaLimits", 0, "quotaBuckets", -1)
    return inside(_QUOTAS % service, *metric, effectiveLimit=limit)


def column(path: str, at: int, **members: Any) -> Break:
    """Change a column of a table."""
    return inside(path, "schema", "fields", at, **members)


def disable(api: str) -> Break:
    """Switch an API off."""
    return lambda project: project.services.update({api: "DISABLED"})
