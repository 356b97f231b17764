"""The seam of erasure: what a store must do besides running queries."""

from typing import Protocol

from app.stores.query import Deletion
from app.stores.source import QueryError


class HeldBackError(QueryError):
    """The store cannot delete rows yet that were just written; nothing was deleted."""


class Eraser(Protocol):
    """Deletes rows from the tables of one store, and makes every erasure known to all instances.

    `generation` changes with every erasure. It is part of the cache keys of answers and of the entity tags of closed
    windows, so an answer from before an erasure is not given again. Other instances learn of the change within
    `learns_within_s` seconds.
    """

    learns_within_s: float

    @property
    def generation(self) -> int:
        """The latest number that this instance knows."""
        ...

    async def delete(self, query: Deletion) -> int:
        """Delete rows; return how many were removed.

        Raises:
            HeldBackError: some of the rows cannot be deleted yet.
            QueryError: the store gave no answer.
        """
        ...

    async def advance(self) -> None:
        """Change `generation`: here at once, on other instances within `learns_within_s`.

        Raises:
            QueryError: the store gave no answer.
        """
        ...
