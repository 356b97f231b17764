"""The documents' diagrams can be drawn: Mermaid's own parser accepts them, and they name what there is."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALLED = ROOT / ".cache" / "mermaid"
LOCK = ROOT / ".github" / "mermaid" / "package-lock.json"
PARSER = ROOT / ".github" / "mermaid" / "parse.mjs"


def diagrams(path: Path) -> list[str]:
    """Return the diagrams of a document."""
    return re.findall(r"^```mermaid\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def test_the_pictures_are_there() -> None:
    """docs/architecture.md shows the whole, the deployment and the life of a message."""
    kinds = {path.name: [text.split()[0] for text in diagrams(path)] for path in DOCUMENTS if diagrams(path)}
    assert kinds == {"architecture.md": ["flowchart", "flowchart", "sequenceDiagram"]}


def test_pictures_leave_the_colours_to_the_reader() -> None:
    """GitHub draws a diagram for its light and its dark page, unless the text chooses colours."""
    for path in DOCUMENTS:
        for text in diagrams(path):
            assert not re.search(r"%%\{|\b(style|classDef|linkStyle|rect rgb|fill:|stroke:)", text), path.name


def parse(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Run Mermaid's parser over documents; skip the test where `make workflows` has not installed it."""
    installed = INSTALLED / "installed"
    if not installed.exists() or installed.read_bytes() != LOCK.read_bytes():
        pytest.skip("NOT tested here: `make workflows` installs Mermaid's parser, and runs it (needs node and npm)")
    (INSTALLED / "parse.mjs").write_bytes(PARSER.read_bytes())
    command = ["node", str(INSTALLED / "parse.mjs"), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mermaid_accepts_every_diagram() -> None:
    """All of them are found, and none has an error."""
    run = parse(*DOCUMENTS)
    count = sum(len(diagrams(path)) for path in DOCUMENTS)
    assert (run.returncode, run.stdout) == (0, f"{count} of {count} diagrams can be drawn\n"), run.stderr


@pytest.mark.parametrize(
    "text", ["```mermaid\nflowchart LR\n    a --> --> b\n```\n", "no diagram\n"], ids=["an error", "no diagram"]
)
def test_mermaid_refuses_a_mistake(text: str, tmp_path: Path) -> None:
    """The parser is not one that accepts everything, nor one that looks at nothing."""
    document = tmp_path / "page.md"
    document.write_text(text)
    assert parse(document).returncode == 1


def test_make_workflows_reads_every_document() -> None:
    """The gate checks them, too, and the CI fails where it cannot."""
    script = (ROOT / ".github" / "check.sh").read_text()
    assert "node .cache/mermaid/parse.mjs README.md docs/*.md" in script
    assert "REQUIRE_ACTIONLINT" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
