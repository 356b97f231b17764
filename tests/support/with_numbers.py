"""Run the service with other values of numbers that are no settings, which are the first argument, in JSON."""

import os
import sys
from collections.abc import Mapping

import msgspec

from app.__main__ import leave, main
from app.settings.load import Settings, load_settings


def _load(environ: Mapping[str, str]) -> Settings:
    return load_settings(environ).replace(**msgspec.json.decode(sys.argv[1]))


if __name__ == "__main__":
    leave(main(os.environ, _load))
