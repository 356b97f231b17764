"""What the local Pub/Sub refuses, with the status each protocol gives it.

PubsubError
 ├── InvalidArgumentError      INVALID_ARGUMENT     400
 ├── FailedPreconditionError   FAILED_PRECONDITION  400
 ├── NotFoundError             NOT_FOUND            404
 ├── AlreadyExistsError        ALREADY_EXISTS       409
 └── UnsupportedError          UNIMPLEMENTED        501
"""

from typing import ClassVar


class PubsubError(Exception):
    """A request the service refuses; the text is for the person who made it."""

    status: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500


class InvalidArgumentError(PubsubError):
    """The request can never work as it is."""

    status = "INVALID_ARGUMENT"
    http_status = 400


class FailedPreconditionError(PubsubError):
    """The request does not fit the state of what it names."""

    status = "FAILED_PRECONDITION"
    http_status = 400


class NotFoundError(PubsubError):
    """What the request names does not exist."""

    status = "NOT_FOUND"
    http_status = 404


class AlreadyExistsError(PubsubError):
    """What the request would create exists."""

    status = "ALREADY_EXISTS"
    http_status = 409


class UnsupportedError(PubsubError):
    """The real service can do this; the local one does not."""

    status = "UNIMPLEMENTED"
    http_status = 501
