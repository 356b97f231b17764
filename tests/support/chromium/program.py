"""The browser's program: $CHROMIUM, or one of the usual names on PATH, else the distribution's package.

The package is Chromium without windows (100 MB), with the libraries that this machine lacks and the first font that the
page names and a distribution has. They are unpacked once, into .cache/.
"""

import os
import shutil
import tempfile
from pathlib import Path

from tests.support import apt

PACKAGE = "chromium-headless-shell"
FONT, _FONT_PACKAGE = "Roboto", "fonts-roboto-unhinted"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CACHE = Path(__file__).parents[3] / ".cache" / "browser"
# Its own libraries first. An unpacked browser has no set-uid sandbox; it visits pages of the tests only.
_STARTER = """#!/bin/sh
here=$(dirname "$0")
export LD_LIBRARY_PATH="{libraries}" FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/usr/lib/chromium/{program}" --no-sandbox "$@"
"""
_FONTS = """<?xml version="1.0"?>
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias binding="same"><family>sans</family><prefer><family>Roboto</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


def program() -> str:
    """Return the program.

    Raises:
        apt.UnavailableError: this machine has none, and its apt cannot fetch the package.
    """
    return named() or str(_installed())


def named() -> str | None:
    """Return the program that this machine has; None where it has none."""
    chosen = os.environ.get("CHROMIUM")
    return next((path for name in ([chosen] if chosen else _NAMES) if (path := shutil.which(name))), None)


def _installed() -> Path:
    """Return what starts the browser from the distribution's package, fetched if it is not there yet.

    Raises:
        apt.UnavailableError: there is no apt, or it cannot fetch the package.
    """
    starter = CACHE / "start"
    if not starter.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
            unpacked = apt.unpack(PACKAGE, Path(folder), _FONT_PACKAGE, with_missing=True)
            lib = unpacked / "usr" / "lib"
            libraries = sorted({file.parent for each in (lib, unpacked / "lib") for file in each.rglob("*.so*")})
            paths = ":".join(f"$here/{each.relative_to(unpacked)}" for each in libraries)
            (unpacked / "fonts.conf").write_text(_FONTS)
            (unpacked / "start").write_text(_STARTER.format(libraries=paths, program=PACKAGE))
            (unpacked / "start").chmod(0o755)
            try:
                unpacked.rename(CACHE)
            except OSError:
                if not starter.exists():  # otherwise another process was faster
                    raise
    return starter
