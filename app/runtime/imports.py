"""Import what a setting names as `package.module:NAME`: a user's declaration; and packages that are missing."""

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

_SHOWN = (AttributeError, ImportError, NameError, SyntaxError, TypeError, ValueError, re.error)
"""Errors about the declaration itself; the text of any other may hold a value that no log should."""


class DeclarationError(Exception):
    """Nothing can be imported under the name; the message says why."""


def import_declaration(spec: str, *, form: str, example: str) -> Any:
    """Return what `spec` names; its module may be in the working folder.

    Raises:
        DeclarationError: `spec` is not of the `form`, or the import fails.
    """
    module_name, _, name = spec.partition(":")
    if not module_name or not name:
        raise DeclarationError(f"must be {form}, such as {example}")
    folder = os.getcwd()  # noqa: PTH109 - an entry of sys.path is a text
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)  # the last: a package `app` in a project must not take the place of this one
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f"no module {error.name!r} is installed, or in {folder}"
        if module_name.partition(".")[0] == "app" and os.path.isdir("app"):  # noqa: PTH112 - like the folder above
            missing = f"the folder {folder}{os.sep}app has the name of Sluice's own package: rename it"
        raise DeclarationError(f"cannot be imported: {missing}") from error
    except Exception as error:  # whatever the user's module raises
        raise DeclarationError(f"cannot be imported: {_described(error)}") from error
    if not hasattr(module, name):
        raise DeclarationError(f"cannot be imported: the module {module_name} has no {name}")
    return getattr(module, name)


def _described(error: Exception) -> str:
    """Return an error of an import as one line, with the line of the module that it stopped at, if any."""
    text = type(error).__name__
    if isinstance(error, _SHOWN):
        text += f": {' '.join(str(error).split())}"
    frames = extract_tb(error.__traceback__)
    importing = [place for place, frame in enumerate(frames) if frame.filename.startswith("<frozen importlib")]
    inner = frames[importing[-1] + 1 :] if importing else []
    if not inner:  # no module was being executed; a SyntaxError says itself where it is
        return text
    module = inner[0].filename
    line = [frame.lineno for frame in inner if frame.filename == module][-1]
    return f"{text} ({Path(module).name}, line {line})"


def missing_package(what: str, error: ImportError, extra: str = "") -> str:
    """Return a sentence: `what` needs a package, and which installation of Sluice has it.

    The image for Cloud Run lacks some on purpose, and a few large ones are in an `extra` of pyproject.toml.
    """
    source = f"sluice[{extra}]" if extra else "an installation of sluice that is not an image for Cloud Run"
    return f"{what} needs the package {error.name}, which is not installed: {source} has it"
