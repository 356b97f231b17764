"""The errors of a local BigQuery; `status` is the exit status of a command that fails with the error.

LocalBigQueryError
├── BackendError        the environment names another store
├── InstallError        it could not be installed
│   └── NoPythonError   there is no Python that it runs on
├── InUseError          another instance uses the same data folder
└── ProvisionError      its tables could not be created
"""

from typing import ClassVar


class LocalBigQueryError(Exception):
    """The message tells the user what is wrong and what to do."""

    status: ClassVar[int] = 1


class BackendError(LocalBigQueryError):
    """The environment names a store that is not local, and the command line none."""

    status = 2


class InstallError(LocalBigQueryError):
    """local-bigquery could not be installed."""


class NoPythonError(InstallError):
    """There is no Python that local-bigquery runs on, and none could be downloaded."""

    status = 3


class InUseError(LocalBigQueryError):
    """Another local BigQuery uses the same data folder."""


class ProvisionError(LocalBigQueryError):
    """The tables could not be created, or an existing one does not match its declaration."""
