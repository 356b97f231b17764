"""Images built and run by the program that IMGCHECK names, for machines without Docker.

It is called as `PROGRAM FOLDER --target … --build-arg …` and, where the image is to be run, with `--hardened`,
`--graceful`, `--port`, `--path`, `-e`, `-v`, `--cmd` and `--then`. Its status says whether all was well, its output
how large the image is, how long the start took and how the process ended.
"""

import os
import re
import shlex
import subprocess
from itertools import chain

from tests.image.engine import ROOT, ImageError, Ran, Start
from tests.support.process import free_port

PROGRAM = "IMGCHECK"
_COMPRESSED = re.compile(r"^compressed +([\d.]+) MB", re.MULTILINE)
_READY = re.compile(r"first 200 after ([\d.]+) s from process start")
_STATUS = re.compile(r"exit code (\d+)")
_TIMEOUT_S = 1_800  # the first build makes what images are built on


def build(target: str, build_args: dict[str, str]) -> float:
    """Build it; return its compressed size in megabytes (10^6 bytes). Raises ImageError: it cannot be built."""
    return float(_said(_COMPRESSED, _call(target, build_args, ["--no-run", "--compressed"])))


def run(target: str, build_args: dict[str, str], start: Start) -> Ran:
    """Start it, wait for `/health/ready`, do what is to be done then, stop it. Raises ImageError: one of them fails."""
    port = str(free_port())
    options = ["--hardened", "--graceful", "--port", port, "--path", "/health/ready", "-e", f"PORT={port}"]
    options += chain.from_iterable(("-e", f"{name}={value}") for name, value in start.environment.items())
    options += chain.from_iterable(("-v", f"{file}:{place}:ro") for file, place in start.mounts.items())
    options += ["--cmd", shlex.join(start.command)] if start.command else []
    options += ["--then", shlex.join(start.then)] if start.then else []
    output = _call(target, build_args, options)
    return Ran(float(_said(_READY, output)), int(_said(_STATUS, output)))


def _call(target: str, build_args: dict[str, str], options: list[str]) -> str:
    given = chain.from_iterable(("--build-arg", f"{name}={value}") for name, value in build_args.items())
    command = [*shlex.split(os.environ[PROGRAM]), str(ROOT), "--target", target, *given, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        raise ImageError(f"target {target}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _said(pattern: re.Pattern[str], output: str) -> str:
    found = pattern.search(output)
    if found is None:
        raise ImageError(f"the checker said nothing like {pattern.pattern!r}:\n{output}")
    return found[1]
