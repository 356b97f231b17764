"""The route `/v1/state`: of each id the latest version, as pages of the feed that leave out all others."""

from typing import Any

import msgspec
from litestar import Response

from app.http.contract import Contract
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import ProblemError
from app.query.answer.page import PageEndpoint, page_contract
from app.query.parts import StreamParts, TableParts
from app.query.read.feed import Feed
from app.query.read.reads import problem_of
from app.query.readers import READER, READER_PARAMETER
from app.query.request.parameters import STATE_PARAMETERS
from app.query.request.scan import WITHOUT_CANARIES, Scan, parse_state
from app.runtime.instants import DAY_US
from app.stores.source import QueryTooExpensiveError


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
        days = feed.table.retention_days or feed.environment.settings.store.retention_days
        self._retention_us = days * DAY_US

    async def page(self, request: Ask) -> Response[Any]:
        """Return the page, the export or the explanation that `request` asks for.

        Raises:
            ProblemError: a parameter or the cursor is not valid, or the store would read too much: a state is of the
                whole retention.
            QueryError: the store gave no answer.
        """
        try:
            return await super().page(request)
        except QueryTooExpensiveError as error:
            problem = problem_of(error)
            detail = f"{problem.detail}, and a state needs all records that are kept: read it from a mirror"
            raise ProblemError(problem.code, detail, members=problem.members) from error

    async def _scan(self, request: Ask) -> Scan:
        """Return what `request` asks for, of the versions that its caller may see: others supersede nothing."""
        await self.feed.learn_horizon()
        query = request.scope["query_string"].decode("latin-1")
        accept = ",".join(request.headers.getall("accept", []))
        scan = parse_state(query, self.subject, self.feed.now(), self._retention_us, accept)
        conditions = self.subject.restricted(scan.conditions, request.state.principal)
        return scan.counting((WITHOUT_CANARIES, *conditions[len(scan.conditions) :]))


def state_contract(endpoint: StateEndpoint) -> Contract:
    """Describe a page of a state, which is one of records."""
    contract = page_contract(endpoint)
    return msgspec.structs.replace(
        contract,
        parameters={**endpoint.subject.documented(STATE_PARAMETERS), READER: READER_PARAMETER},
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
