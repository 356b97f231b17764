"""The route `/v1/state`: of each id the latest version, as pages of the feed that leave out all others."""

from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from litestar import Response

from app.http.contract import Contract
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import ProblemError
from app.query.answer.page import PageEndpoint, page_contract
from app.query.parts import StreamParts, TableParts
from app.query.read.feed import Feed
from app.query.read.reads import problem_of
from app.query.request.parameters import STATE_PARAMETERS
from app.query.request.scan import WITHOUT_CANARIES, Scan, parse_state
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import DAY_US, HOUR_US, TimeRange, clamp
from app.stores.query import Position
from app.stores.source import QueryTimeoutError, QueryTooExpensiveError

_GRID_S: Final = 60
"""How far apart the moments are of which states are read unless one is given, where each is a query of all records."""


class StateEndpoint(PageEndpoint):
    """Returns the state of one table, whose records have an id."""

    def __init__(self, records: TableParts) -> None:
        feed = records.feed
        super().__init__(
            msgspec.structs.replace(
                records,
                path=records.path.removesuffix("records") + "state",
                # One of its own, as it remembers how densely the latest versions lie.
                feed=Feed(feed.runner, feed.table, feed.environment),
                subject=msgspec.structs.replace(records.subject, has_canaries=False),
            )
        )
        days = feed.table.kept_days(feed.environment.settings.store.retention_days)
        self._retention_us, self._grid_us = days * DAY_US, 1
        if feed.runner.profile.materializes:
            self._poll_s, self._grid_us = max(_GRID_S, self._poll_s), _GRID_S * MICROSECONDS

    async def page(self, request: Ask) -> Response[Any]:
        """Return the page, the export or the explanation that `request` asks for.

        Raises:
            ProblemError: a parameter or the cursor is not valid, its moment is not settled yet, or the store would read
                too much or for too long: a state is of the whole retention.
            QueryError: the store gave no answer.
        """
        try:
            return await super().page(request)
        except (QueryTooExpensiveError, QueryTimeoutError) as error:
            problem = problem_of(error)
            detail = f"{problem.detail}, and a state needs all records that are kept: read it from a mirror"
            raise ProblemError(problem.code, detail, members=problem.members) from error

    async def _scan(self, request: Ask) -> Scan:
        """Return what `request` asks for, of the versions that its caller may see: others supersede nothing."""
        query = request.scope["query_string"].decode("latin-1")
        if "cursor" not in parse_qs(query):
            await self.feed.learn_horizon()
        accept, now = ",".join(request.headers.getall("accept", [])), self.feed.now()
        # The first whole hour that is kept, since a store may delete whole hours.
        since_us = clamp(-((self._retention_us - now.now_us) // HOUR_US) * HOUR_US)
        within = TimeRange(since_us, now.horizon_us - now.horizon_us % self._grid_us)
        scan = parse_state(query, self.subject, now, within, accept)
        if scan.fold is not None and scan.fold.up_to > Position(now.horizon_us, ""):  # as far as it is known here
            await self.feed.learn_horizon()
            scan = scan.at(self.feed.now())
        conditions = self.subject.restricted(scan.conditions, request.state.principal)
        return scan.counting((WITHOUT_CANARIES, *conditions[len(scan.conditions) :]))


def state_contract(endpoint: StateEndpoint) -> Contract:
    """Describe a page of a state, which is one of records."""
    contract = page_contract(endpoint)
    return msgspec.structs.replace(
        contract,
        parameters=endpoint.subject.documented(STATE_PARAMETERS),
        problems={**contract.problems, 422: "The query would read too much: read the state from a mirror."},
    )


STATE: EndpointSpec[StreamParts, StateEndpoint] = EndpointSpec(
    path="/state",
    make=lambda stream: None if stream.records.feed.table.id is None else StateEndpoint(stream.records),
    respond=StateEndpoint.page,
    contract=state_contract,
    scope="read",
    name="readState",
    summary="Read the latest version of each record",
    text="Of each id the latest version at one moment, unless it is a tombstone: in the order of storage, and in pages "
    "like those of `/v1/records`. The `resume_cursor` continues there with the records after that moment. Expired "
    "versions do not count: a younger one takes the place of one with a higher `sequence` that has expired before it.",
)
