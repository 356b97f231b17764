"""docs/deploy.md names what there is: files, variables and outputs of Terraform, commands and their options."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from app.schema.table import RECORDS
from tests.documents import blocks

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "deploy.md"
TEXT = DOCUMENT.read_text()
SHELL = "\n".join(block.text for block in blocks(DOCUMENT) if block.language == "sh").replace("\\\n", " ")
TERRAFORM = ROOT / "infra" / "terraform"
_OF_REPOSITORY = ("PLAN_IDENTITY", "WORKLOAD_IDENTITY_PROVIDER")


def declared(kind: str, *folders: Path) -> set[str]:
    """Return the names of what Terraform's files declare: `variable`, `output`."""
    text = "\n".join(path.read_text() for folder in folders for path in sorted(folder.glob("*.tf")))
    return set(re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE))


def test_files_that_are_named_exist() -> None:
    """In prose and in commands; an environment's name stands for each."""
    named = set(re.findall(r"`((?:\.github|app|dev|docs|infra|tests)/[\w./-]+)`", TEXT))
    named |= {
        f"infra/terraform/{path}".replace("$ENVIRONMENT", "staging")
        for path in re.findall(r"(?<=[=/ ])environments/[\w$]+[.][\w.]+", SHELL)
    }
    assert len(named) >= 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_variables_of_terraform_exist() -> None:
    """What is set in tfvars (`name = …`, `-var=name=…`) and what the table of files lists."""
    named = set(re.findall(r"`(\w+) = [^`]*`", TEXT)) | set(re.findall(r"-var=(\w+)=", SHELL))
    for file, cell in re.findall(r"^\| `infra/terraform/environments/dev\.([\w.]+)` \| (.*) \|$", TEXT, re.MULTILINE):
        names = {name.partition(".")[0] for name in re.findall(r"`([a-z_.]+)`", cell)}
        if file == "bootstrap.tfvars":
            assert names <= declared("variable", TERRAFORM / "bootstrap")
        elif file == "tfvars":
            named |= names
    named |= {"record_type", "record_id", "publishers", "retention_days", "settings", "system"}  # named on their own
    assert len(named) > 12
    assert named - declared("variable", TERRAFORM) == set()


def test_outputs_of_terraform_exist() -> None:
    """Those of both folders that the document reads."""
    main = set(re.findall(r"terraform output (?:-raw )?([a-z]\w+)", SHELL + TEXT)) | set(
        re.findall(r"^main \w+ (\w+)$", SHELL, re.MULTILINE)
    )
    bootstrap = set(re.findall(r"\(first (\w+)\)", SHELL))
    assert len(main) >= 10
    assert len(bootstrap) == 3
    assert main <= declared("output", TERRAFORM)
    assert bootstrap <= declared("output", TERRAFORM / "bootstrap")


def test_resources_that_are_named_exist() -> None:
    """The address of the import, and names that begin with the system's."""
    text = "\n".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    ((kind, name, stream),) = re.findall(r'^  to = google_(\w+)\.(\w+)\["(\w+)"\]$', SHELL, re.MULTILINE)
    assert stream == RECORDS, "the only stream of a single type"
    assert f'resource "google_{kind}" "{name}"' in text
    suffixes = set(re.findall(r"\$SYSTEM(-[a-z-]+)", SHELL))
    assert suffixes == {"-dead-letters", "-grants", "-pii"}
    for suffix in suffixes:
        assert f'"${{var.system}}{suffix}' in text


def test_the_shell_understands_every_block() -> None:
    """No quote is left open, no here-document without its end."""
    for block in blocks(DOCUMENT):
        if block.language == "sh":
            run = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert run.returncode == 0, f"{block.text}\n{run.stderr}"
            assert not run.stderr, run.stderr


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"python -m ((?:app|dev)(?:\.\w+)?(?: [a-z][a-z-]+)?)", SHELL)))
)
def test_commands_and_their_options_exist(command: str) -> None:
    """Every option that a line of the document gives is one that the command's help names."""
    lines = re.findall(rf"python -m {re.escape(command)}\b(.*)", SHELL)
    options = {option for line in lines for option in re.findall(r"(?<=\s)--[a-z-]+", line)}
    if command.startswith("app.schema "):  # a derivation, which has no options of its own
        assert not options
        asked = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, check=False)
        assert asked.returncode == 0
        return
    run = [sys.executable, "-m", *command.split(), "--help"]
    asked_help = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert options <= set(re.findall(r"--[a-z-]+", asked_help))


def test_history_is_copied_into_every_column() -> None:
    """The statement that copies old rows names the table's columns, all of them and in their order."""
    (columns,) = re.findall(r"INSERT INTO orders\.records \(([^)]*)\)", TEXT)
    schema = msgspec.json.decode((TERRAFORM / "table.schema.json").read_bytes())
    assert [name.strip() for name in columns.split(",")] == [column["name"] for column in schema]


def test_the_variables_that_are_set_are_those_that_workflows_read() -> None:
    """The commands set each variable of the workflows, but for those with a choice; the table lists all."""
    folder = ROOT / ".github" / "workflows"
    workflows = "\n".join(path.read_text() for path in folder.glob("*.yml"))
    read = set(re.findall(r"\bvars\.([A-Z]\w+)", workflows))
    suffixed = {f"{name}_{each}" for name in _OF_REPOSITORY for each in ("DEV", "STAGING", "PROD")}
    written = {name for name in re.findall(r"(?:gh variable set|main) ([A-Z_]+)", SHELL + TEXT) if name[-1] != "_"}
    written |= suffixed
    chosen = {"SMOKE_DATA", "OBSERVE_S", "TEST_PROJECT", "TEST_LOCATION", "TEST_IDENTITY"}
    assert read - written == chosen | {"TEST_WORKLOAD_IDENTITY_PROVIDER", "NIGHTLY", "PAGES"}
    assert written <= read
    listed = set(re.findall(r"`([A-Z][A-Z_]+)`", "".join(re.findall(r"^\| `[A-Z].*? \|", TEXT, re.MULTILINE))))
    assert read <= listed
