"""`sluice preflight`: its options, its names, and the client that asks Google."""

import argparse
from pathlib import Path

import msgspec
import pytest

from sluice.ops.preflight.command import add_arguments, check
from sluice.ops.preflight.deployment import DeploymentError, read_tfvars
from sluice.ops.preflight.google import RestClient, UnreadableError
from tests.ops.preflight.project import SERVICE, Project, healthy
from tests.support.http_server import Handler, serving_http

TFVARS = Path(__file__).parents[3] / "infra" / "terraform" / "environments" / "dev.tfvars"


def preflight(project: Project | None, *options: str) -> int:
    """Return the exit status of the command."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return check(parser.parse_args(["--tfvars", str(TFVARS), *options]), project)


def test_the_status_and_the_lines_say_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Held, failed, and nothing to check."""
    project = healthy()
    assert preflight(project) == 0
    assert [each.split()[0] for each in capsys.readouterr().out.splitlines()] == ["held"] * 6
    project.resources[project.subscription]["ackDeadlineSeconds"] = 10
    assert preflight(project) == 1
    assert "failed       clocks: the ack deadline is 10 s" in capsys.readouterr().out
    del project.resources[SERVICE]
    assert preflight(project) == 2
    assert "there is no service" in capsys.readouterr().err


def test_names_come_from_the_variables_of_an_environment() -> None:
    """Of each environment's file, as it is in the repository; what has no default must be there."""
    for file in sorted(TFVARS.parent.glob("*.tfvars")):
        if not file.name.endswith(".bootstrap.tfvars"):
            found = read_tfvars(file.read_text())
            assert (found.project, found.region) == (f"my-company-sluice-{file.stem}", "europe-west1")
    text = 'project_id = "p" # ours\nregion="r"\nsystem   = "orders"\n'
    assert read_tfvars(text, "returns").subscription == "projects/p/subscriptions/orders-push.returns"
    with pytest.raises(DeploymentError, match="no region"):
        read_tfvars('project_id = "p"\n# region = "r"\n')


def test_without_credentials_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing was asked."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Not by its variable, which the library would read at its import, for every later test of the process.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    assert preflight(None) == 2
    assert "gcloud auth application-default login" in capsys.readouterr().err


def test_the_client_tells_what_is_missing_from_what_it_may_not_ask() -> None:
    """A 404 is an answer; all else says nothing about the deployment."""

    class _Google(Handler):
        def do_GET(self) -> None:
            status = int(self.path.removeprefix("/"))
            error = {"error": {"message": "API is disabled\nEnable it"}}
            body = {200: msgspec.json.encode({"a": 1}), 502: b"<html>"}
            self.reply(body.get(status, msgspec.json.encode(error)), status=status)

    with serving_http(_Google) as url:
        client = RestClient("p", {"x.googleapis.com": url})
        assert client.ask("x.googleapis.com", "200") == {"a": 1}
        assert client.ask("x.googleapis.com", "404") is None
        for path, said in (("403", "answered 403: API is disabled Enable it"), ("502", "cannot be asked")):
            with pytest.raises(UnreadableError, match=f"^x.googleapis.com {said}"):
                client.ask("x.googleapis.com", path)
    with pytest.raises(UnreadableError, match="cannot be asked"):
        client.ask("x.googleapis.com", "200")
