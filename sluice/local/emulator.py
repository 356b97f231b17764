"""The official Pub/Sub emulator: find it, run it, and make sure that its JVM ends.

Its own push sends no token and only two requests at a time. So `emulator_source` pulls from it, and the usual
pusher pushes.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

START_TIMEOUT_S = 60.0
_POLL_S = 0.05
_HOW_TO_INSTALL = (
    "install it with `gcloud components install pubsub-emulator` "
    "(or the package google-cloud-cli-pubsub-emulator) and a Java runtime, or use --pubsub local"
)
# The JVM must not outlive this process, however it ends. If this process is killed, its end of the pipe closes,
# `cat` returns and the JVM is killed. (gcloud's own wrapper leaves the JVM behind.)
_WATCHED = 'exec 3<&0; "$@" </dev/null & child=$!; (cat <&3 >/dev/null; kill -9 $child) & wait $child'


class EmulatorError(Exception):
    """The emulator cannot be found or started; the message says what to do."""


def find_java() -> str:
    """Return the Java to run. Raises EmulatorError if there is none."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    for candidate in [*candidates, "java"]:
        if path := shutil.which(candidate):
            return path
    raise EmulatorError(f"the Pub/Sub emulator needs Java, which was not found: {_HOW_TO_INSTALL}")


def find_jar() -> Path:
    """Return the emulator's jar inside the Cloud SDK. Raises EmulatorError if there is none."""
    for root in _sdk_roots():
        jars = sorted(root.glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"))
        if jars:
            return jars[-1]
    raise EmulatorError(f"the Pub/Sub emulator was not found in a Google Cloud SDK: {_HOW_TO_INSTALL}")


def _sdk_roots() -> Iterator[Path]:
    if root := os.environ.get("CLOUDSDK_ROOT_DIR"):
        yield Path(root)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return
    yield Path(gcloud).resolve().parent.parent
    # A wrapper script elsewhere: ask it. Slow (a second or two), so asked last.
    ended = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
    )
    if ended.returncode == 0 and ended.stdout.strip():
        yield Path(ended.stdout.strip())


def free_port(host: str) -> int:
    """Return a port that is currently free."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running_emulator(host: str, port: int) -> AsyncIterator[str]:
    """Start the emulator, yield its `host:port` once it responds, and end it.

    Raises EmulatorError if it is not installed or does not start.
    """
    java, jar = find_java(), find_jar()
    address = f"{host}:{port or free_port(host)}"
    bound_host, bound_port = address.rsplit(":", 1)
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            "sh",
            *("-c", _WATCHED, "sh", java, "-jar", str(jar), f"--host={bound_host}", f"--port={bound_port}"),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # only this process gets Ctrl-C; it then ends the JVM itself
        )
        try:
            await _wait_until_up(process, bound_host, int(bound_port), log)
            yield address
        finally:
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            process.stdin.close()
            await process.wait()


async def _wait_until_up(process: asyncio.subprocess.Process, host: str, port: int, log: IO[bytes]) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except OSError:
                    await asyncio.sleep(_POLL_S)
                    continue
                writer.close()
                return
    except TimeoutError:
        raise EmulatorError(f"the emulator did not answer on port {port} in {START_TIMEOUT_S:g} s") from None
    log.seek(0)
    errors = [line for line in log.read().decode(errors="replace").splitlines() if "xception" in line]
    raise EmulatorError(f"the emulator exited immediately: {errors[-1] if errors else 'it printed nothing'}")
