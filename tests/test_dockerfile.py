"""What can be seen of the image without building it; `make image` builds it and looks inside."""

import json
import re
import subprocess
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path

import pytest

from app.auth.grants import GrantRules, read_grants
from app.settings.load import Settings, load_settings
from sluice.testing.process import ROOT
from tests.image.inside import ACCOUNT, FILES

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


def test_every_outside_image_can_be_given_by_its_digest() -> None:
    """A tag can be moved; a digest names one image for ever. The Dockerfile itself makes none up."""
    outside = [rest for word, rest in instructions() if word == "FROM" and (":" in rest or "@" in rest)]
    arguments = [re.fullmatch(r"\S+:[\w.-]+\$\{(\w+_DIGEST):\+@\$\1\} AS \w+", rest) for rest in outside]
    assert {found[1] for found in arguments if found} == {"PYTHON_DIGEST", "UV_DIGEST"}
    assert None not in arguments
    assert "sha256:" not in DOCKERFILE.replace("sha256:…", "")
    before = DOCKERFILE[: DOCKERFILE.index("\nFROM ")]
    assert all(f"ARG {found[1]}=\n" in before + "\n" for found in arguments if found)


def test_the_image_is_of_the_uv_and_the_python_that_the_project_uses() -> None:
    """One version of uv reads the lock everywhere."""
    version = re.search(r"^uv_version=(\S+)", (ROOT / "bootstrap.sh").read_text(), re.MULTILINE)
    assert version
    assert f"/uv:{version[1]}$" in DOCKERFILE
    assert "FROM python:3.13-slim$" in DOCKERFILE


@pytest.mark.parametrize("target", TARGETS)
def test_the_packages_are_those_of_the_lock(target: str) -> None:
    """Locked, without the development's, as wheels, compiled; the store of `full` is not in `cloud`."""
    exported = [rest for word, rest in stage(f"packages-{target}") if word == "RUN" and "$LOCKED" in rest][-1]
    variables = environment(f"packages-{target}")
    assert {"UV_COMPILE_BYTECODE": "1", "UV_NO_DEV": "1", "UV_NO_BUILD": "1"}.items() <= variables.items()
    assert "uv export --quiet --locked --no-emit-project" in DOCKERFILE
    assert f"--require-hashes -r {target}.txt" in exported
    assert ("--all-extras" in exported) is (target == "full")
    assert ("--prune duckdb" in exported) is (target == "cloud")


@pytest.mark.parametrize("target", TARGETS)
def test_the_service_is_alone_in_the_image(target: str) -> None:
    """No tool of the build is left, no shell keeps SIGTERM to itself, and the account is a number, not root's."""
    assert [rest for word, rest in stage(target) if word == "USER"][-1] == f"{ACCOUNT}:{ACCOUNT}"
    starts = [(word, json.loads(rest)) for word, rest in stage(target) if word in {"CMD", "ENTRYPOINT"}]
    assert starts == [("CMD", ["python", "-m", "app"])]
    assert not [rest for word, rest in stage(target) if word == "COPY" and not rest.startswith("--from=")]
    assert "uv" not in {part for word, rest in stage(target) if word == "RUN" for part in rest.split()}
    assert any("pip*" in rest and "ensurepip" in rest for word, rest in stage(target) if word == "RUN")


@pytest.mark.parametrize("target", TARGETS)
def test_the_labels_say_what_was_built(target: str) -> None:
    """Version, revision and source are the builder's to give."""
    given = {name.partition("=")[0] for word, rest in stage(target) if word == "ARG" for name in rest.split()}
    labels = " ".join(rest for word, rest in stage(target) if word == "LABEL")
    for label, argument in (
        ("version", "VERSION"),
        ("revision", "REVISION"),
        ("source", "SOURCE"),
        ("base.digest", "PYTHON_DIGEST"),
    ):
        assert f'org.opencontainers.image.{label}="${argument}"' in labels
        assert argument in given
    assert 'licenses="Apache-2.0"' in labels


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


def test_the_volume_is_where_the_store_is() -> None:
    """Everything else of the container may be read-only."""
    assert ("VOLUME", "/data") in stage("full")
    assert environment("full")["SLUICE_DATA_PATH"].startswith("/data/")
    assert "VOLUME" not in {word for word, _ in stage("cloud")}


def ignored(path: str) -> bool:
    """Say whether .dockerignore leaves a path out: the last pattern that meets it, or a folder it is in, decides."""
    verdict = False
    parents = [path, *(str(parent) for parent in Path(path).parents if parent != Path())]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").rstrip("/")
        # `*` stays within a folder, `**/` is any depth, none too (https://docs.docker.com/build/concepts/context/).
        expression = translate(pattern.removeprefix("**/")).replace(".*", "[^/]*")
        expression = f"(?:.*/)?{expression}" if pattern.startswith("**/") else expression
        if any(re.match(expression, each) for each in parents):
            verdict = not line.startswith("!")
    return verdict


def tracked() -> list[str]:
    """Return the files of the repository."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_only_the_service_is_sent_to_the_build() -> None:
    """No history, tests, caches, data, settings or keys: nothing that is not named."""
    sent = {path for path in tracked() if not ignored(path)}
    assert {path.partition("/")[0] for path in sent} == {
        "LICENSE",
        "app",
        "client",
        "pyproject.toml",
        "sluice",
        "uv.lock",
    }
    assert [path for path in sent if path.startswith("client/")] == ["client/pyproject.toml"]
    for path in (
        *(".git/config", ".env", ".venv/bin/python", ".mypy_cache/3.13/app.json", "tests/test_dockerfile.py"),
        *("data/sluice.duckdb", "infra/terraform/prod.tfvars", "grants.json", "key.pem"),
        *("app/__pycache__/main.cpython-313.pyc", "app/ingest/__pycache__/push.cpython-313.pyc"),
    ):
        assert ignored(path), path
    assert not ignored("orders.py")  # a record type of one's own
    assert ignored("orders/record.py")


def sources() -> Iterator[str]:
    """Yield what COPY takes from the repository."""
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            yield from rest.split()[:-1]


def test_what_is_copied_exists_and_is_sent() -> None:
    """A name that is misspelt, or left out of the build, would only be noticed there."""
    found = [source for source in sources() if "*" not in source]
    assert {"app/", "LICENSE", "client/pyproject.toml", "pyproject.toml", "sluice/__init__.py", "uv.lock"} == set(found)
    assert all((ROOT / source).exists() and not ignored(source.rstrip("/")) for source in found)
    assert all((ROOT / file).is_file() and not ignored(file) for file in FILES)
