"""What bench/start makes of what Python and the kernel tell them."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.start.import_times import Import, costs, package_of, read_imports, summary
from bench.start.memory import Held, growth_mib, read_held
from bench.start.time_to_ready import CONTENDERS, Start, told

PROGRAM = {
    "program.py": "import outer\nimport shared.two\n",
    "outer/__init__.py": "import shared.one\nimport outer.inner\n",
    "outer/inner.py": "import shared.one\n",
    "shared/__init__.py": "",
    "shared/one.py": "",
    "shared/two.py": "",
}


@pytest.fixture(name="imports")
def fixture_imports(tmp_path: Path) -> list[Import]:
    """Return what Python says of a program of three modules that import each other."""
    for name, text in PROGRAM.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-X", "importtime", str(tmp_path / "program.py")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = read_imports("a line of a log\n" + said)
    return [one for one in found if one.name.startswith(("outer", "shared"))]


def test_every_module_is_read_in_its_place(imports: list[Import]) -> None:
    """Each comes once, after what it was the first to import, and as deep as it was nested."""
    assert [(one.name, one.depth) for one in imports] == [
        ("shared", 2),
        ("shared.one", 1),
        ("outer.inner", 1),
        ("outer", 0),
        ("shared.two", 0),
    ]
    for one in imports:
        assert 0 <= one.self_us <= one.cumulative_us


def test_a_package_is_what_its_modules_take(imports: list[Import]) -> None:
    """Own times add up; what is nested in a module of the same package is not counted a second time."""
    by_module = {one.name: one for one in imports}
    found = {cost.name: cost for cost in costs(imports, package_of)}
    assert {name: cost.modules for name, cost in found.items()} == {"outer": 2, "shared": 3}
    assert found["outer"].cumulative_ms == by_module["outer"].cumulative_us / 1_000
    whole_us = by_module["shared.one"].cumulative_us + by_module["shared.two"].cumulative_us
    assert found["shared"].cumulative_ms == whole_us / 1_000
    own_us = sum(one.self_us for one in imports if one.name.startswith("shared"))
    assert found["shared"].self_ms == own_us / 1_000


def test_the_dearest_comes_first_and_the_rest_is_left_out() -> None:
    """Packages are ordered by their own time, modules of the service by all of it."""
    imports = [
        Import("msgspec", 900, 900, 2),
        Import("app.record", 300, 1_200, 1),
        Import("app.main", 400, 1_600, 0),
        Import("anyio", 100, 100, 0),
    ]
    found = summary(imports, 2)
    assert (found["modules"], found["self_ms"]) == (4, 1.7)
    assert [cost["name"] for cost in found["packages"]] == ["msgspec", "app"]
    assert found["service"] == [
        {"name": "app.main", "modules": 1, "self_ms": 0.4, "cumulative_ms": 1.6},
        {"name": "app.record", "modules": 1, "self_ms": 0.3, "cumulative_ms": 1.2},
    ]


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("app.main", "app"),
        ("google", "google"),
        ("google.auth.crypt", "google.auth"),
        ("google.cloud.bigquery.client", "google.cloud.bigquery"),
        ("opentelemetry.sdk.metrics", "opentelemetry.sdk"),
    ],
)
def test_a_name_that_several_packages_share_is_told_apart(module: str, package: str) -> None:
    """Google's and OpenTelemetry's distributions are counted each by itself."""
    assert package_of(module) == package


def test_ratios_are_of_neighbours() -> None:
    """A ratio is of the two starts of one round; what is quoted is the median of the ratios."""
    found = told({name: [Start(wall_s, 0.1), Start(2 * wall_s, 0.1)] for wall_s, name in enumerate(CONTENDERS, 1)})
    assert found["ratios"]["sluice, bigquery / bare"] == {"rounds": [0.67, 0.67], "median": 0.67}
    assert found["cells"][0]["median"] == {"wall_s": 1.5, "cpu_s": 0.1}


def test_memory_is_read_as_the_kernel_writes_it() -> None:
    """Of a `smaps_rollup`, in MiB; growth is the slope of the line through what the bursts left."""
    said = (
        "55c9d7a000-7ffd4c6000 ---p 00000000 00:00 0                    [rollup]\n"
        "Rss:              112640 kB\nPss:               66560 kB\nPss_Anon:          51200 kB\n"
        "Anonymous:         51200 kB\n"
    )
    assert read_held(said) == Held(rss=110.0, pss=65.0, anonymous=50.0)
    assert growth_mib([Held(rss, 0.0, 0.0) for rss in (100.0, 105.0, 107.0, 112.0)]) == 3.8
