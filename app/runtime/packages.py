"""What to say of a package that is not installed."""


def missing_package(what: str, error: ImportError, extra: str = "") -> str:
    """Return a sentence: `what` needs a package, and which installation of Sluice has it.

    The image for Cloud Run lacks some on purpose, and a few large ones are in an `extra` of pyproject.toml.
    """
    source = f"sluice[{extra}]" if extra else "an installation of sluice that is not an image for Cloud Run"
    return f"{what} needs the package {error.name}, which is not installed: {source} has it"
