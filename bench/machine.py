"""What a result says of the machine it was measured on."""

import os
import platform


def machine() -> dict[str, str | int | None]:
    """Return the machine's processors and kind, and the version of Python."""
    return {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
