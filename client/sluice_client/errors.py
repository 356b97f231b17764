"""What a caller may catch: every error of this package is a `SluiceError`, whose text a user can act on.

SluiceError
├── ProblemError        the service refused a request, and said why
├── UnreachableError    the service did not answer, for as long as the client was allowed to try
├── ResponseError       a response that no version of the service sends
├── CursorStoreError    a stored cursor belongs to another feed
└── TargetError         a target cannot take the records: wrong kind, other feed, other columns
"""

from sluice_client.protocol.problems import Problem


class SluiceError(Exception):
    """Any error of this package."""


class ProblemError(SluiceError):
    """The service refused a request. `problem` is its document, with the stable `code`."""

    def __init__(self, problem: Problem) -> None:
        """Show the problem as its text."""
        super().__init__(problem.text)
        self.problem = problem


class UnreachableError(SluiceError):
    """The service did not answer, or only with errors that pass, until the policy's patience ended."""


class ResponseError(SluiceError):
    """The response is not one of the API: probably the URL is of something else, or a proxy answered."""


class CursorStoreError(SluiceError):
    """The stored cursor belongs to another feed, or cannot be read."""


class TargetError(SluiceError):
    """The target cannot take the records."""
