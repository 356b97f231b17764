"""Documents of the repository as pages of the site. They stay plain Markdown with links that work on GitHub.

A page keeps its text; its links are rewritten, since documents outside docs/ are pages too. A file of code that a
document links to becomes a page of its own, so that the archive needs no network.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("docs/**/*.md", "*.md", "client/README.md", "bench/README.md", "examples/**/*.md", "infra/**/*.md")
IMAGES = frozenset({".png", ".svg"})
_SOURCE = "source"
_LINK = re.compile(
    r"(?P<code>^[ \t]*(?P<fence>`{3,})[^\n]*\n.*?^[ \t]*(?P=fence)[ \t]*$|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<before>\]\(|\b(?:src|srcset|href)=\")(?P<target>[^)\s\"]+)",
    re.MULTILINE | re.DOTALL,
)
_INFO = re.compile(r"^(`{3,}\w+) [^\n`]*$", re.MULTILINE)
"""What follows a block's language, as in `sh laptop`: for our programs; the site's reader would take no such block."""
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d+[.)])[ \t]+")
_MARKDOWN = MarkdownIt("commonmark")
_LANGUAGES = {".json": "json", ".py": "python", ".tf": "terraform", ".toml": "toml", ".yml": "yaml"}


def documents(root: Path = ROOT) -> list[str]:
    """Return the documents of the repository, as paths from its root."""
    return sorted({path.relative_to(root).as_posix() for pattern in DOCUMENTS for path in root.glob(pattern)})


def page_of(document: str) -> str:
    """Return where the site has a document: those of docs/ at its top, a README under its folder's name."""
    if document.startswith("docs/"):
        return document.removeprefix("docs/").replace("README", "index")
    folder, name = posixpath.split(document)
    if folder and name == "README.md":
        return f"{folder}.md"
    return posixpath.join(folder or "project", name.lower())


def site_files(root: Path = ROOT) -> Mapping[str, bytes]:
    """Return every file of the site's input, by its path: pages, the code that they link to, and images."""
    pages = {document: page_of(document) for document in documents(root)}
    linked: dict[str, str] = {}
    files = {
        page: indented(
            _rewritten((root / document).read_text(encoding="utf-8"), document, pages, linked, root)
        ).encode()
        for document, page in pages.items()
    }
    for path, place in linked.items():
        files[place] = (root / path).read_bytes() if Path(path).suffix in IMAGES else _source_page(root, path).encode()
    return files


def indented(text: str) -> str:
    """Return Markdown whose lists Python-Markdown reads as GitHub does.

    What belongs to an item has four spaces, and an item of several paragraphs is followed by a blank line.
    """
    lines = text.split("\n")
    shifts = [0] * len(lines)
    parted = set()
    for token in _MARKDOWN.parse(text):
        if token.type == "list_item_open" and token.map:
            if not all(line.strip() for line in lines[slice(*token.map)]):
                parted.add(token.map[1])
            marker = _LIST_ITEM.match(lines[token.map[0]])
            width = len(marker[0].lstrip()) if marker else 4  # four also for a list in a quotation: left as it is
            for number in range(token.map[0] + 1, token.map[1]):
                shifts[number] += 4 - width
    output: list[str] = []
    for number, line in enumerate(lines):
        if number in parted and output[-1]:
            output.append("")
        output.append(" " * shifts[number] + line if line.strip() else line)
    return "\n".join(output)


def _rewritten(text: str, document: str, pages: Mapping[str, str], linked: dict[str, str], root: Path) -> str:
    here = posixpath.dirname(pages[document])

    def renewed(link: re.Match[str]) -> str:
        target, hash_sign, anchor = (link["target"] or "").partition("#")
        if link["code"] or not target or re.match(r"[a-z]+:", target):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
        if not (root / path).exists():
            return link[0]  # dead, which the check reports
        place = _place(path, pages, root)
        if place not in pages.values():
            linked[path] = place
        return f"{link['before']}{posixpath.relpath(place, here or '.')}{hash_sign}{anchor}"

    return _LINK.sub(renewed, _INFO.sub(r"\1", text))


def _place(path: str, pages: Mapping[str, str], root: Path) -> str:
    """Return where the site has what a document links to."""
    readme = posixpath.join(path, "README.md")
    if (root / path).is_dir() and readme in pages:
        return pages[readme]
    if path in pages:
        return pages[path]
    suffix = "" if Path(path).suffix in IMAGES else ".md"
    return f"{_SOURCE}/{path.lstrip('.')}{suffix}"


def _source_page(root: Path, path: str) -> str:
    """Return a page that shows a file, or what a folder contains. The search leaves it out."""
    begin = f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n\n# `{path}`\n\n"
    if (root / path).is_dir():
        return begin + "\n".join(f"- `{name}`" for name in _names(root / path)) + "\n"
    text = (root / path).read_text(encoding="utf-8")
    return f"{begin}````` {_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n`````\n"


def _names(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name != "__pycache__":
            yield f"{path.name}/" if path.is_dir() else path.name
