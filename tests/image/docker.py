"""Images built and run by Docker."""

import json
import os
import subprocess
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from threading import Event

from tests.image.engine import ROOT, ImageError, Ran, Start
from tests.support.process import free_port

_HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108
_READY_WITHIN_S, _LOOK_AGAIN_S, _STOP_WITHIN_S = 30.0, 0.02, 10
_CHUNK_BYTES = 1024 * 1024


def build(target: str, build_args: dict[str, str]) -> float:
    """Build it; return its compressed size in megabytes (10^6 bytes). Raises ImageError: it cannot be built."""
    given = chain.from_iterable(("--build-arg", f"{name}={value}") for name, value in build_args.items())
    _docker("build", "--load", "--target", target, "--tag", _tag(target), *given, str(ROOT))
    size, compress = 0, zlib.compressobj(6)
    with subprocess.Popen(["docker", "save", _tag(target)], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        while chunk := saving.stdout.read(_CHUNK_BYTES):
            size += len(compress.compress(chunk))
    if saving.returncode != 0:
        raise ImageError(f"docker save ended with {saving.returncode}")
    return (size + len(compress.flush())) / 1e6


def run(target: str, _: dict[str, str], start: Start) -> Ran:
    """Start it, wait for `/health/ready`, do what is to be done then, stop it. Raises ImageError: one of them fails."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _container(target, port, start) as container:
        ready_s = _ready_at(f"{url}/health/ready", container) - _started_at(container)
        if start.then:
            subprocess.run(start.then, cwd=ROOT, env={**os.environ, "BASE_URL": url}, check=True)
        _docker("stop", "--time", str(_STOP_WITHIN_S), container)
        return Ran(ready_s, int(_state(container)["ExitCode"]))


@contextmanager
def _container(target: str, port: int, start: Start) -> Iterator[str]:
    settings = {**start.environment, "PORT": str(port)}
    options = [*_HARDENED, "--publish", f"127.0.0.1:{port}:{port}"]
    options += chain.from_iterable(("--env", f"{name}={value}") for name, value in settings.items())
    options += chain.from_iterable(("--volume", f"{file}:{place}:ro") for file, place in start.mounts.items())
    container = _docker("run", "--detach", *options, _tag(target), *start.command).strip()
    try:
        yield container
    except subprocess.CalledProcessError as error:
        raise ImageError(f"{error}\n{_logs(container)}") from error
    finally:
        _docker("rm", "--force", "--volumes", container)


def _ready_at(url: str, container: str) -> float:
    """Return when the service answered 200 for the first time."""
    give_up_at, pause = time.monotonic() + _READY_WITHIN_S, Event()
    while time.monotonic() < give_up_at and _state(container)["Running"]:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own http URL
                return time.time()
        except OSError:  # nobody listens yet, or 503
            pause.wait(_LOOK_AGAIN_S)
    raise ImageError(f"no 200 from {url}\n{_logs(container)}")


def _started_at(container: str) -> float:
    """Return when the process began, as Docker says it."""
    return datetime.fromisoformat(_state(container)["StartedAt"]).timestamp()


def _state(container: str) -> dict[str, str]:
    state: dict[str, str] = json.loads(_docker("inspect", "--format", "{{json .State}}", container))
    return state


def _logs(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError("there is no `docker` here; IMGCHECK may name a program that does without") from None
    if done.returncode != 0:
        raise ImageError(f"docker {arguments[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _tag(target: str) -> str:
    return f"sluice-check:{target}"
