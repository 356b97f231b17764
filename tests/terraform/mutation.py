"""One way to break infra/terraform, and the run of `terraform test` that must notice."""

from pathlib import Path

import msgspec

FOLDER = Path(__file__).parents[2] / "infra" / "terraform"


class Mutation(msgspec.Struct, frozen=True):
    """In `file`, `old` (which is there once) becomes `new`; then the run `noticed_by` of `tests/TEST.tftest.hcl` fails.

    A `root` is a folder below infra/terraform that is configured by itself; an empty `old` puts `new` at the end.
    """

    file: str
    old: str
    new: str
    test: str
    noticed_by: str
    root: str = ""

    @property
    def path(self) -> Path:
        return Path(self.root) / self.file

    def applied_to(self, text: str) -> str:
        """Return the file's text, broken.

        Raises:
            ValueError: what is to be replaced is not there, or more than once.
        """
        if not self.old:
            return text + self.new
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path}: {self.old!r} is there {text.count(self.old)} times, and should be once")
        return text.replace(self.old, self.new)


def mutations_of(test: str, runs: dict[str, list[tuple[str, str, str]]], root: str = "") -> list[Mutation]:
    """Return the mutations of a test file, from (file, old, new) by the run that must notice."""
    return [Mutation(*change, test, run, root) for run, changes in runs.items() for change in changes]
