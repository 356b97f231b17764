"""The version of the service, as in pyproject.toml, which an installation need not include."""

VERSION = "0.1.0"
