"""What a result says of the machine it was measured on."""

import os
import platform


def machine() -> dict[str, str | int | None]:
    """Return the machine's processors and kind, and the version of Python."""
    return {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def machine_before() -> dict[str, object]:
    """Return that, and what others made of the machine over the last one and five minutes: to be asked for first."""
    return {**machine(), "load_average": [round(load, 2) for load in os.getloadavg()[:2]]}
