"""The hooks that a contributor may install: they run what `make check` runs, and read commit messages."""

import re
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
HOOKS = {
    hook["id"]: hook
    for repository in msgspec.yaml.decode((ROOT / ".pre-commit-config.yaml").read_bytes())["repos"]
    for hook in repository["hooks"]
}


def test_hooks_run_make_targets() -> None:
    """There is no second list of rules."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {hook["entry"] for hook in HOOKS.values() if hook["language"] == "system"}
    assert commands >= {"make lint", "make format", "make types"}
    assert {command.removeprefix("make ") for command in commands} <= targets


@pytest.mark.parametrize(
    ("message", "refused_by"),
    [
        ("Name the change\n\nIts reason.\n", set()),
        (f"{'x' * 72}\n\nIts reason.\n", set()),
        (f"{'x' * 73}\n\nIts reason.\n", {"commit-subject"}),
        (f"{'x' * 72}\n\n{'A long reason. ' * 9}\n", set()),
        ("Name the change\n", {"commit-body"}),
        ("Name the change\n\n# Please enter the commit message\n#\tmodified: x\n", {"commit-body"}),
        ("Name the change\n\nSigned-off-by: A <a@b.example>\n", {"commit-body"}),
        ("Name the change\n\nIts reason.\n\nSigned-off-by: A <a@b.example>\n", set()),
    ],
)
def test_commit_messages(message: str, refused_by: set[str]) -> None:
    """A subject of 72 characters at most, and a body; comments and trailers are none."""
    texts = {name: hook["entry"] for name, hook in HOOKS.items() if hook.get("stages") == ["commit-msg"]}
    assert len(texts) == 2
    assert {name for name, text in texts.items() if re.search(text, message, re.MULTILINE)} == refused_by
