"""The garbage collector is seldom in the way, and still finds what is old."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = """
import gc, weakref
from app.footprint import search_seldom_for_cycles

class Node:
    pass

search_seldom_for_cycles()
node = Node()
node.itself, watched = node, weakref.ref(node)
gc.collect(0), gc.collect(1)  # it lives through them, so it is old
del node
kept, objects = [], 0
while watched() is not None and objects < 3_000_000:
    kept.append([])
    objects += 1
print(objects)
"""


def test_an_old_cycle_is_found_among_a_million_new_objects() -> None:
    """What was garbage only once it was old does not stay for hours, and young searches stay seldom."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 100_000 < int(run.stdout) <= 1_300_000
