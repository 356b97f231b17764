"""What SLUICE_MCP=true costs: docs/mcp.md shows what was measured, and the pairs are compared one by one."""

import os
import subprocess
import sys

import pytest

from bench.ingest.contenders import Cores
from bench.start.mcp_cost import DOCUMENT, MEASURES, OFF, ON, Process, compared, read, start, with_table
from bench.start.time_to_ready import EMBEDDED, Outside
from sluice.testing.process import served_keys


def test_the_page_is_what_the_result_says() -> None:
    """No figure of it is written by hand, and one that is changed is put right."""
    text, result = DOCUMENT.read_text(), read()
    assert with_table(text, result) == text
    figure = f"{result.stores[EMBEDDED]['rss_mib'].ratio:.2f}"
    assert figure in text
    assert with_table(text.replace(f"| {figure} |", "| 9.99 |"), result) == text


def test_the_result_is_of_its_pairs() -> None:
    """Medians, ratios and differences are those of the rounds that the file keeps."""
    result = read()
    assert {store: len(pairs) for store, pairs in result.rounds.items()} == dict.fromkeys(result.stores, result.pairs)
    assert {store: compared(pairs) for store, pairs in result.rounds.items()} == result.stores


def test_a_ratio_is_of_a_pair() -> None:
    """Two processes of one turn are compared, not the medians: what slows both of them does not show."""
    pairs = [
        {OFF: Process(1.0, 0.5, 100.0, 50.0), ON: Process(2.0, 1.0, 110.0, 55.0)},
        {OFF: Process(8.0, 4.0, 100.0, 50.0), ON: Process(16.0, 8.0, 120.0, 60.0)},
        {OFF: Process(2.0, 1.0, 100.0, 50.0), ON: Process(6.0, 3.0, 130.0, 65.0)},
    ]
    found = compared(pairs)
    assert set(found) == set(MEASURES)
    wall = found["wall_s"]
    assert (wall.off, wall.on, wall.ratios, wall.ratio, wall.more) == (2.0, 6.0, [2.0, 2.0, 3.0], 2.0, 4.0)
    assert (found["rss_mib"].ratio, found["rss_mib"].more) == (1.2, 20.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and cores are read as Linux tells them")
def test_a_real_process_is_measured() -> None:
    """With the setting it holds more than without: the SDK was imported, and only there."""
    allowed = os.sched_getaffinity(0)
    command = [sys.executable, "-c", "import sys, app.query.mcp.server; print('mcp' in sys.modules)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    try:
        with served_keys() as keys_url:
            out = Outside(keys_url, {"grpc": "http://127.0.0.1:1"}, Cores(sorted(allowed), sorted(allowed)))
            found = {setting: start(EMBEDDED, out, setting) for setting in (OFF, ON)}
    finally:
        os.sched_setaffinity(0, allowed)
    assert 0 < found[OFF].pss_mib < found[OFF].rss_mib < found[ON].rss_mib
    assert min(found[OFF].cpu_s, found[OFF].wall_s) > 0
