"""Ways to break a project: each returns a function that changes it."""

from collections.abc import Callable
from typing import Any

from tests.support.google_cloud import project as google
from tests.support.google_cloud.project import Project

Break = Callable[[Project], Any]


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
