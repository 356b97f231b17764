"""Which version of the service this is: pyproject.toml's, which an installation need not have beside it."""

VERSION = "0.1.0"
