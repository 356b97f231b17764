"""Exports."""

from typing import Any

from litestar import Response

from app.clock import Clock
from app.query.endpoints.answering import Ask
from app.query.reads import Reads
from app.query.retrieval import Retrieval
from app.query.runner import QueryRunner
from app.settings import Settings


class Exports:
    """Being written by the EXPORT helper."""

    def __init__(self, runner: QueryRunner, settings: Settings, clock: Clock, reads: Reads) -> None:
        self._runner = runner

    async def answer(self, request: Ask, wanted: Retrieval) -> Response[Any]:
        """Stream."""
        raise RuntimeError
