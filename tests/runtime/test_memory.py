"""What the process keeps: garbage is found although searches are rare, and large blocks go back to the system."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.runtime.memory import container_memory_bytes

ROOT = Path(__file__).parents[2]
PROGRAM = """
import gc, weakref
from app.runtime.memory import search_seldom_for_cycles

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


LARGE_BLOCKS = """
import ctypes
from app.runtime.memory import return_large_blocks

names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names]
counts = ctypes.CDLL(None).mallinfo2
counts.restype = Counts

assert return_large_blocks()
block = bytearray(20 * 1024**2)
del block  # glibc's own threshold is above 20 MiB from now on
before = counts().hblkhd
block = bytearray(20 * 1024**2 - 1)
print("mapped" if counts().hblkhd - before >= len(block) else "in the heap")
before = counts().arena
blocks = [bytearray(10 * 1024**2) for _ in range(2)]
del blocks
print("kept" if counts().arena - before >= 16 * 1024**2 else "returned")
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc 2.33 and later count so")
@pytest.mark.parametrize(
    ("threshold", "large_block", "batches"), [("", "mapped", "kept"), ("1048576", "mapped", "returned")]
)
def test_large_blocks_are_mapped_and_the_memory_of_batches_is_kept(
    threshold: str, large_block: str, batches: str
) -> None:
    """A large block goes back to the system even after one was freed, unless the environment says otherwise."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= {"MALLOC_MMAP_THRESHOLD_": threshold} if threshold else {}
    command = [sys.executable, "-c", LARGE_BLOCKS]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n") == [large_block, batches, ""]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["max\n"], None),
        (["536870912\n"], 512 * 1024**2),
        (["9223372036854771712\n", "268435456\n"], 256 * 1024**2),
    ],
)
def test_the_memory_of_a_container_is_the_least_of_its_limits(
    tmp_path: Path, texts: list[str], expected: int | None
) -> None:
    """Without a limit it is the machine's; a version of control groups that the kernel lacks has no file."""
    files = [tmp_path / "missing", *(tmp_path / str(number) for number in range(len(texts)))]
    for file, text in zip(files[1:], texts, strict=True):
        file.write_text(text)
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert container_memory_bytes(files) == (machine_bytes if expected is None else expected)
