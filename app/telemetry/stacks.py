"""Format the stack of an exception as Python prints it and Error Reporting groups it, without values and secrets.

Python's tracebacks show lines of code and no values. The messages of exceptions, causes and notes may contain values.
https://cloud.google.com/error-reporting/docs/formatting-error-messages
"""

import traceback
from collections.abc import Iterator

from app.telemetry.redaction import cut_inside, error_text, without_secrets, without_values

MAX_STACK_CHARS = 30_000  # an entry of Cloud Logging has at most 256 KiB
_MAX_FRAMES, _MAX_ERRORS = 60, 16
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"


def stack_of(error: BaseException) -> str:
    """Return the traceback of an exception, after those of its causes and, for a group, those of its members."""
    return cut_inside(without_secrets("".join(_parts(error))).rstrip("\n"), MAX_STACK_CHARS)


def _parts(error: BaseException) -> Iterator[str]:
    chain = _chain(error)
    for each, leads in chain:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(each.__traceback__, -_MAX_FRAMES)  # the innermost frames
        yield f"{_class_of(each)}: {error_text(each)}\n"
        for note in getattr(each, "__notes__", None) or ():
            yield f"{without_values(str(note))}\n"
        yield leads


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """Return the exceptions that led to `error`, then itself, each with the text that introduces the next one."""
    found: list[tuple[BaseException, str]] = []
    waiting: list[tuple[BaseException, str]] = [(error, "")]
    seen: set[int] = set()
    while waiting and len(found) < _MAX_ERRORS:
        each, leads = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        found.append((each, leads))
        if isinstance(each, BaseExceptionGroup):
            waiting.extend((member, "\nOne of the group that follows:\n\n") for member in each.exceptions)
        if each.__cause__ is not None:
            waiting.append((each.__cause__, _CAUSED))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, _MEANWHILE))
    return found[::-1]


def _class_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
