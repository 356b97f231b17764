"""Which steps are done: one small file for each environment, written after every step."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sluice.ops.install.shell import InstallError, replace_file

FOLDER = Path(".install")


class State(msgspec.Struct):
    """The project and the repository that the steps were done for, and when each was done."""

    project: str
    repository: str
    done: dict[str, str] = {}


class StateFile:
    """The state of one environment."""

    def __init__(self, root: Path, environment: str) -> None:
        self.path = root / FOLDER / f"{environment}.json"

    def read(self, project: str, repository: str) -> State:
        """Return the state; an empty one at first.

        Raises:
            InstallError: it is not readable, or belongs to another project or repository.
        """
        if not self.path.exists():
            return State(project, repository)
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=State)
        except msgspec.DecodeError as error:
            raise InstallError(f"{self.path} cannot be read ({error}): remove it to repeat every step") from error
        if (state.project, state.repository) != (project, repository):
            raise InstallError(
                f"{self.path} records steps for {state.project} and {state.repository}, not for {project} and "
                f"{repository}: remove it to begin again"
            )
        return state

    def record(self, state: State, step: str) -> None:
        """Write that a step is done."""
        state.done[step] = datetime.now(UTC).isoformat(timespec="seconds")
        replace_file(self.path, msgspec.json.format(msgspec.json.encode(state)).decode() + "\n")
