"""The refusals of the local Pub/Sub, with their status in each protocol.

PubsubError
 ├── InvalidArgumentError      INVALID_ARGUMENT     400
 ├── FailedPreconditionError   FAILED_PRECONDITION  400
 ├── NotFoundError             NOT_FOUND            404
 ├── AlreadyExistsError        ALREADY_EXISTS       409
 └── UnsupportedError          UNIMPLEMENTED        501
"""

from typing import ClassVar


class PubsubError(Exception):
    """A request that the service refuses; the message is for the person who made it."""

    status: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500


class InvalidArgumentError(PubsubError):
    """The request can never succeed as it is."""

    status = "INVALID_ARGUMENT"
    http_status = 400


class FailedPreconditionError(PubsubError):
    """The request does not fit the state of the resource it names."""

    status = "FAILED_PRECONDITION"
    http_status = 400


class NotFoundError(PubsubError):
    """The resource that the request names does not exist."""

    status = "NOT_FOUND"
    http_status = 404


class AlreadyExistsError(PubsubError):
    """The resource that the request would create already exists."""

    status = "ALREADY_EXISTS"
    http_status = 409


class UnsupportedError(PubsubError):
    """The real service can do this; the local one does not."""

    status = "UNIMPLEMENTED"
    http_status = 501
