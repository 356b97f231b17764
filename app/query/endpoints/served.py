"""Where an endpoint is served: at a path of its own, or as one route for the endpoints of all streams.

One route for all streams keeps start-up short and memory small, however many streams there are.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from app.http import paths
from app.http.contract import CONTRACT, OF_DEFAULT, PER_STREAM, STREAM, Contract

Endpoint = TypeVar("Endpoint")


class Operation(NamedTuple):
    """What the OpenAPI document says of a route, and the scope that it requires."""

    name: str
    scope: str
    summary: str
    text: str


class Served(msgspec.Struct, Generic[Endpoint], frozen=True):
    """A path, the endpoint of a request's scope, and the contracts for the route's `opt`."""

    path: str
    of: Callable[[Any], Endpoint]
    opt: Mapping[str, Any]


def served_alone(path: str, endpoint: Endpoint, contract: Contract, whose: str = OF_DEFAULT) -> Served[Endpoint]:
    """Serve one endpoint at `path`: of the default stream, or of all."""
    return Served(path, lambda _: endpoint, {CONTRACT: contract, STREAM: whose})


def served_per_stream(
    below: str, endpoints: Mapping[str, Endpoint], contract: Callable[[Endpoint], Contract]
) -> Served[Endpoint]:
    """Serve the endpoint of each stream at `/v1/streams/{stream}` + `below`."""
    contracts = {name: contract(endpoint) for name, endpoint in endpoints.items()}
    return Served(paths.STREAM + below, partial(paths.of_stream, endpoints), {PER_STREAM: contracts})
