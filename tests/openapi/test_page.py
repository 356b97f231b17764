"""The reference page: everything it needs comes from the service, and nothing may come from elsewhere."""

from html.parser import HTMLParser
from urllib.parse import urljoin

from sluice.testing.service import running


class _Page(HTMLParser):
    """Collects what a page loads, and scripts and styles that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in {"src", "href"} and value:
                self.loaded.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"} and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def parsed(html: str) -> _Page:
    """Return what was found in a page."""
    found = _Page()
    found.feed(html)
    return found


async def test_the_page_loads_files_of_the_service_only() -> None:
    """Each is there, has its type, and may be kept for ever; nothing comes from a network or stands inline."""
    async with running() as service:
        answer = await service.client.get("/docs")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        found = parsed(answer.text)
        assert "://" not in answer.text
        assert found.inline == []
        files = [link for link in found.loaded if link.startswith("docs/")]
        assert {link.rpartition("/")[2] for link in files} == {
            *("swagger-ui.js", "swagger-ui.css", "reference.js", "reference.css"),
        }
        for link in files:
            file = await service.client.get(f"/{link}")
            kind = "text/css" if link.endswith(".css") else "text/javascript"
            assert (file.status_code, file.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
            assert file.headers["content-encoding"] == "gzip"
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.headers["x-content-type-options"] == "nosniff"


async def test_links_work_with_a_slash_and_below_a_prefix() -> None:
    """They are relative, and `/docs/` leads to `/docs`, also where a proxy adds a prefix."""
    async with running() as service:
        moved = await service.client.get("/docs/")
        assert (moved.status_code, urljoin("/prefix/docs/", moved.headers["location"])) == (308, "/prefix/docs")
        links = {link for link in parsed((await service.client.get("/docs")).text).loaded if link != "data:,"}
        resolved = {urljoin("/prefix/docs", link) for link in links}
        assert {"/prefix/", "/prefix/openapi/openapi.json"} <= resolved
        assert all(link.startswith("/prefix/") for link in resolved)
