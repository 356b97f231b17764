"""Exceptions as a store's library raises them, with causes, contexts and notes."""

from typing import NoReturn


class LibraryError(Exception):
    """Raised by somebody else."""

    __module__ = "library.errors"


def chained(text: str) -> BaseException:
    """Return a group of exceptions that say `text`, one of them with a cause and a context."""
    try:
        _raise_in_a_chain(text)
    except RuntimeError as caught:
        return ExceptionGroup("several", [caught, ValueError(text)])


def _raise_in_a_chain(text: str) -> NoReturn:
    try:
        raise LibraryError(text)  # noqa: TRY301 - a chain of causes is what is made here
    except LibraryError as inner:
        inner.add_note(f"of the row {text}")
        try:
            raise KeyError(text)  # noqa: TRY301 - likewise
        except KeyError as middle:
            raise RuntimeError(text) from middle
