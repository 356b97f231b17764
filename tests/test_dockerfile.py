"""What can be seen of the image without building it; `make image` builds it and looks inside."""

import re

import pytest

from app.auth.grants import GrantRules, read_grants
from app.settings.load import Settings, load_settings
from tests.support.process import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
TARGETS = ("cloud", "full")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what it is given, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


def stage(name: str) -> list[tuple[str, str]]:
    """Return the instructions of a stage and, before them, of those it is made from."""
    found: list[tuple[str, str]] = []
    base = ""
    inside = False
    for word, rest in instructions():
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
            base = rest.split(" ")[0] if inside else base
        elif inside:
            found.append((word, rest))
    return (stage(base) if f" AS {base}" in DOCKERFILE else []) + found


def environment(name: str) -> dict[str, str]:
    """Return what a stage's ENV lines set."""
    pairs = (pair for word, rest in stage(name) if word == "ENV" for pair in rest.split(" "))
    return dict(pair.partition("=")[::2] for pair in pairs)


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_starts_with_good_settings_and_lets_nobody_in(target: str) -> None:
    """It listens on every address at the platform's port, and `/v1` is shut until somebody is named."""
    environ = {name: value for name, value in environment(target).items() if name.startswith("SLUICE_")}
    needed = {"SLUICE_BIGQUERY_PROJECT": "p", "SLUICE_BIGQUERY_DATASET": "d"} if target == "cloud" else {}
    settings = load_settings({**environ, **needed, "PORT": "9000"})
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 9000)  # noqa: S104 - what a container must listen on
    assert settings.store.backend == ("embedded" if target == "full" else "bigquery")
    assert not settings.auth.push_principals
    assert not settings.auth.api_principals
    made = re.search(rf"printf '(\{{.*\}})\\n' >{settings.auth.grants_file}", DOCKERFILE)
    assert made
    assert read_grants(made[1].encode(), GrantRules(check_filters=lambda *_: None)).all() == []
    exposed = [rest for word, rest in stage(target) if word == "EXPOSE"]
    assert exposed == [environment(target)["PORT"]] == [str(Settings().server.port)]
