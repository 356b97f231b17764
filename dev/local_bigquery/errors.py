"""What can stand in the way of a BigQuery on this machine; `status` is what a command then exits with.

LocalBigQueryError
├── InstallError        it could not be installed
│   └── NoPythonError   there is no Python that it runs on
├── InUseError          another one keeps its data in the same folder
└── ProvisionError      its tables could not be made
"""

from typing import ClassVar


class LocalBigQueryError(Exception):
    """The message says what is wrong and what to do, for whoever typed the command."""

    status: ClassVar[int] = 1


class InstallError(LocalBigQueryError):
    """local-bigquery could not be installed."""


class NoPythonError(InstallError):
    """There is no Python that local-bigquery runs on, and none could be downloaded."""

    status = 3


class InUseError(LocalBigQueryError):
    """Another local BigQuery keeps its data there."""


class ProvisionError(LocalBigQueryError):
    """The tables could not be made, or one is there that does not fit."""
