"""`python -m tests.image`: build both images, and check their size, their contents, how they start and how they end."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.auth.grants import SCOPES, key_hash, new_key
from app.version import VERSION
from sluice.testing.pace import patience_s
from tests.image import checker, docker
from tests.image.engine import ROOT, ImageError, Ran, Start

READY_WITHIN_S = 2.0
"""The promise, for a machine of usual pace; `patience_s` says from when on a start is refused on this one."""
_TRIES = 5  # whatever else the machine does makes a start longer, never shorter: the best of them tells
_NOWHERE = "http://127.0.0.1:9"


class Target(msgspec.Struct, frozen=True):
    """A target of the Dockerfile: how large its image may be, compressed, and what it needs to start."""

    name: str
    max_mb: float
    environment: dict[str, str] = {}


TARGETS = (
    # Without a BigQuery it starts as well: its tables are UNREACHABLE, and what is kept in files is served.
    Target(
        "cloud",
        160,
        {
            "SLUICE_BIGQUERY_PROJECT": "my-project",
            "SLUICE_BIGQUERY_DATASET": "events",
            "SLUICE_BIGQUERY_REST_URL": _NOWHERE,
            "SLUICE_BIGQUERY_STORAGE_URL": _NOWHERE,
        },
    ),
    Target("full", 160),
)


def main() -> int:
    """Check the targets that are asked for; 0 when all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--target", choices=[target.name for target in TARGETS], help="one of them (default: both)")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="for the build, too")
    args = parser.parse_args()
    build_args = {"VERSION": VERSION, "REVISION": _revision()} | dict(
        given.partition("=")[::2] for given in args.build_arg
    )
    try:
        for target in TARGETS:
            if args.target in (None, target.name):
                _check(target, build_args)
    except ImageError as error:
        _say(str(error))
        return 1
    return 0


def _check(target: Target, build_args: dict[str, str]) -> None:
    engine = checker if os.environ.get(checker.PROGRAM) else docker
    size_mb = engine.build(target.name, build_args)
    _say(f"{target.name}: {size_mb:.1f} MB compressed, of at most {target.max_mb:g}")
    if size_mb >= target.max_mb:
        raise ImageError(f"{target.name}: the image is too large")
    with _looked_into(target) as start:
        _ended_well(target, engine.run(target.name, build_args, start))
    _say(f"{target.name}: holds what it should and nothing else; answers; ends with status 0 after SIGTERM")
    best_s, most_s = float("inf"), patience_s(READY_WITHIN_S)
    for _ in range(_TRIES):
        ran = engine.run(target.name, build_args, Start(environment=target.environment))
        _ended_well(target, ran)
        best_s = min(best_s, ran.ready_s)
        if best_s < READY_WITHIN_S:
            break
    _say(
        f"{target.name}: ready {best_s:.2f} s after the start of the process, "
        f"of {READY_WITHIN_S:g} at full pace and at most {most_s:g} here"
    )
    if best_s >= most_s:
        raise ImageError(f"{target.name}: the start takes too long")


def _ended_well(target: Target, ran: Ran) -> None:
    if ran.exit_status != 0:
        raise ImageError(f"{target.name}: after SIGTERM the process ended with status {ran.exit_status}")


@contextmanager
def _looked_into(target: Target) -> Iterator[Start]:
    """Return a start that looks around in the container first, and is called with a key made for it."""
    key = new_key()
    grant = {"name": "make-image", "key_sha256": key_hash(key), "scopes": SCOPES}
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        grants, inside = Path(folder, "grants.json"), ROOT / "tests/image/inside.py"
        grants.write_bytes(msgspec.json.encode({"grants": [grant]}))
        for path, mode in ((Path(folder), 0o755), (grants, 0o644)):
            path.chmod(mode)  # the image's account reads it
        yield Start(
            environment={**target.environment, "SLUICE_GRANTS_FILE": "/check/grants.json"},
            mounts={grants: "/check/grants.json", inside: "/check/inside.py"},
            command=["python", "/check/inside.py"],
            then=["env", f"API_KEY={key}", sys.executable, "-m", "tests.image.talk", target.name],
        )


def _revision() -> str:
    """Return the commit that is built; `unknown` outside a repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
