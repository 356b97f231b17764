"""`python -m sluice.ops.site`: build the documentation into site/, check it, and pack it with --archive."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from sluice.ops.site.check import faults, navigation_of
from sluice.ops.site.pages import ROOT, site_files

CONFIGURATION = Path(__file__).with_name("zensical.toml")
GENERATOR = ROOT / ".cache" / "site" / "bin" / "zensical"
DIAGRAMS = ROOT / ".cache" / "mermaid" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
SCRIPT = Path("assets") / "mermaid.min.js"
WORKER = Path(__file__).with_name("iframe-worker.js")
_REMOTE_WORKER = "https://unpkg.com/iframe-worker/shim"
_STAND_IN = b"""\
// Mermaid comes from npm (`make workflows`). Without node, this keeps the theme from fetching it: diagrams are text.
window.mermaid = {
  initialize() {},
  async render(id, text) {
    const shown = document.createElement("pre");
    shown.textContent = text;
    return { svg: shown.outerHTML };
  },
};
"""


def main(arguments: list[str]) -> int:
    """Build the site; 1 if it has faults, each of which is printed."""
    parser = argparse.ArgumentParser(prog="python -m sluice.ops.site", description="Build and check the documentation.")
    parser.add_argument("--archive", type=Path, metavar="FILE.zip", help="also pack the site, to be read offline")
    parser.add_argument("--into", type=Path, default=ROOT, metavar="FOLDER", help="where site/ is made")
    args = parser.parse_args(arguments)
    # A folder of its own: Zensical deletes `.cache` beside its configuration.
    build, site = args.into / ".cache" / "docs", args.into / "site"
    for folder in (build, site):
        shutil.rmtree(folder, ignore_errors=True)
    for path, content in site_files().items():
        _write(build / "pages" / path, content)
    _write(build / "pages" / SCRIPT, DIAGRAMS.read_bytes() if DIAGRAMS.exists() else _STAND_IN)
    _write(build / CONFIGURATION.name, CONFIGURATION.read_bytes())
    built = subprocess.run(
        [GENERATOR, "build", "--strict"],
        cwd=build,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if built.returncode:
        print(built.stdout, file=sys.stderr)
        return 1
    (build / "site").rename(site)
    _use_own_copies(site)
    all_faults = list(faults(site, build / "pages", navigation_of(CONFIGURATION.read_bytes())))
    print(*all_faults, sep="\n", end="\n" if all_faults else "")
    if all_faults:
        return 1
    if args.archive:
        shutil.make_archive(str(args.archive.with_suffix("")), "zip", args.into, site.name)
    print(f"docs: {sum(1 for _ in site.rglob('*.html'))} pages; open {site / 'index.html'}")
    return 0


def _use_own_copies(site: Path) -> None:
    """Let the pages load what Zensical's offline mode fetches from another host."""
    _write(site / "assets" / WORKER.name, WORKER.read_bytes())
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        html = page.read_text(encoding="utf-8")
        page.write_text(html.replace(_REMOTE_WORKER, f"{up}assets/{WORKER.name}"), encoding="utf-8")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
