"""compose.yaml: the full image on one machine; `make image` builds it and looks inside."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec

from app.auth.grants import GrantRules, read_grants
from app.settings.load import load_settings
from tests.support.process import ROOT

COMPOSE = msgspec.yaml.decode((ROOT / "compose.yaml").read_bytes())


def test_compose_sets_what_exists() -> None:
    """The settings are good ones, the store's file of grants is on the volume, and there is time to finish."""
    service = COMPOSE["services"]["sluice"]
    settings = load_settings({name: value for name, value in service["environment"].items() if value is not None})
    assert settings.auth.grants_file.startswith("/data/")
    assert float(service["stop_grace_period"].removesuffix("s")) > settings.server.shutdown_grace_s + 2


def test_the_mirror_of_compose_is_one() -> None:
    """Its settings are good ones, its file is on the volume beside the source's, and the image has what it runs."""
    service = COMPOSE["services"]["mirror"]
    environ = {
        name: re.sub(r"\$\{\w+:-\}", "http://a", str(value)) for name, value in service["environment"].items() if value
    }
    settings = load_settings(environ)
    assert (settings.store.backend, settings.store.mirror_url) == ("mirror", "http://a")
    assert settings.store.data_path.startswith("/data/")
    assert settings.store.data_path != "/data/sluice.duckdb"
    assert "COPY sluice/mirror/ sluice/mirror/" in (ROOT / "Dockerfile").read_text()


def test_the_image_lets_nobody_in() -> None:
    """Its file of grants is empty until somebody mounts another."""
    assert "printf '{\"grants\": []}\\n' >/etc/sluice/grants.json" in (ROOT / "Dockerfile").read_text()
    assert "SLUICE_GRANTS_FILE=/etc/sluice/grants.json" in (ROOT / "Dockerfile").read_text()


def test_the_first_key_of_compose_opens_the_service(tmp_path: Path) -> None:
    """It is shown once, its entry is a good one, and a second start leaves it alone."""
    script = COMPOSE["services"]["first-key"]["command"][-1].replace("$$", "$")
    script = re.sub("/(data|tmp)/", f"{tmp_path}/", script).replace("python -m", f"{sys.executable} -m")

    def start() -> str:
        done = subprocess.run(["sh", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout

    shown = re.fullmatch(r"(sluice_\S{43})\n", start())
    assert shown
    before = (tmp_path / "grants.json").read_bytes()
    granted = read_grants(before, GrantRules(check_filters=lambda *_: None)).all()
    assert [sorted(each.principal.scopes) for each in granted] == [["metrics", "read", "rejects", "write"]]
    assert shown[1].encode() not in before
    assert start() == ""
    assert (tmp_path / "grants.json").read_bytes() == before
