"""What a reader's browser would find in the built site: each fault is a line `page: fault`.

Python-Markdown reads some texts otherwise than GitHub does, for example a list without a blank line before it. So the
lists, tables and blocks of each page are counted in both renderings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from markdown_it import MarkdownIt

_FETCHED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src"}
_COUNTED = ("li", "table", "pre", "blockquote", "h2", "h3")
_LISTED_ELSEWHERE = ("source/", "decisions/0")
"""Pages that the navigation leaves out: linked code, and the decisions, which have a list of their own."""
_MARKDOWN = MarkdownIt("commonmark").enable("table")


class Page(HTMLParser):
    """A page as it was built: its anchors and links, what it fetches, and how many of each element its article has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.elements: Counter[str] = Counter()
        self._is_article = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        self._is_article |= tag == "article"
        if self._is_article:
            self.elements[tag] += 1
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and not {"canonical", "prev", "next"} & set(values.get("rel", "").split()):
            self.fetched.append(values.get("href", ""))
        elif tag in _FETCHED and values.get(_FETCHED[tag]):
            self.fetched.append(values[_FETCHED[tag]])

    def handle_endtag(self, tag: str) -> None:
        """Leave the article."""
        self._is_article &= tag != "article"


def faults(site: Path, pages: Path, navigation: Iterable[str]) -> Iterator[str]:
    """Yield the faults of a site that was built from the Markdown files below `pages`."""
    built = {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    listed = set(navigation)
    for name, page in sorted(built.items()):
        if name == "404.html":
            continue  # its links are absolute, for a server
        yield from (f"{name}: {fault}" for fault in _dead_links(site, name, page, built))
        yield from (f"{name}: fetches {url}" for url in page.fetched if urlsplit(url).scheme or urlsplit(url).netloc)
        source = (pages / name).with_suffix(".md")
        yield from (f"{name}: {fault}" for fault in _lost(source.read_text(encoding="utf-8"), page))
        document = source.relative_to(pages).as_posix()
        if document not in listed and not document.startswith(_LISTED_ELSEWHERE):
            yield f"{name}: is missing from the navigation"


def navigation_of(configuration: bytes) -> list[str]:
    """Return the pages that the navigation lists."""
    return list(_leaves(msgspec.toml.decode(configuration)["project"]["nav"]))


def _leaves(node: object) -> Iterator[str]:
    match node:
        case str():
            yield node
        case dict():
            for each in node.values():
                yield from _leaves(each)
        case list():
            for each in node:
                yield from _leaves(each)


def _dead_links(site: Path, name: str, page: Page, built: Mapping[str, Page]) -> Iterator[str]:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        path = target.resolve().relative_to(site.resolve()).as_posix()
        if not target.is_file():
            yield f"links to {link}, which does not exist"
        elif parts.fragment and path in built and unquote(parts.fragment) not in built[path].anchors:
            yield f"links to {link}, and that page has no such heading"


def _lost(text: str, page: Page) -> Iterator[str]:
    """Yield the kinds of elements that the page has fewer or more of than GitHub shows."""
    body = text.partition("\n---\n")[2] if text.startswith("---\n") else text
    shown: Counter[str] = Counter()
    for token in _MARKDOWN.parse(body):
        shown[token.tag if token.nesting >= 0 and token.type != "fence" else ""] += 1
        shown["pre"] += token.type == "fence"
    for tag in _COUNTED:
        if page.elements[tag] != shown[tag]:
            yield f"has {page.elements[tag]} <{tag}>, where GitHub shows {shown[tag]}"
