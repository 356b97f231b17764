"""The reference page: everything it needs comes from the service, and nothing may come from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from app.http.conditional import strong_etag
from app.openapi import page
from testing.process import ROOT
from testing.service import running

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "png": "image/png"}


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


def test_what_runs_in_a_page_is_found() -> None:
    """The parser that the other tests rely on sees inline code and addresses elsewhere."""
    found = parsed('<p onclick="x()"><script>y()</script><link href="https://cdn.example/a.css">')
    assert found.inline == ["p onclick", "y()"]
    assert found.loaded == ["https://cdn.example/a.css"]


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
async def test_the_page_loads_files_of_the_service_only(path: str) -> None:
    """Each of them is there, has its type, and may be kept for ever; none comes from a network."""
    async with running() as service:
        answer = await service.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        found = parsed(answer.text)
        assert "://" not in answer.text
        assert found.inline == []
        assert len(found.loaded) == 4
        for link in found.loaded:
            file = await service.client.get(urljoin(path, link))
            assert file.status_code == 200, link
            assert file.headers["content-type"] == _TYPES[link.partition("?")[0].rpartition(".")[2]]
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.headers["x-content-type-options"] == "nosniff"


async def test_the_script_of_the_page_names_no_other_host() -> None:
    """It finds the document from its own address, and turns off the badge that is fetched from elsewhere."""
    async with running() as service:
        script = (await service.client.get("/docs/start.js")).text
        url = re.search(r'new URL\("([^"]+)", document\.currentScript\.src\)', script)
        assert url is not None
        document = await service.client.get(urljoin("/docs/start.js", url[1]))
    assert document.json()["openapi"].startswith("3.1")
    assert "://" not in script
    assert "validatorUrl: null" in script


async def test_without_its_package_the_page_says_so_and_the_rest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is left out of the image: a plain 404, and the document is there."""
    monkeypatch.setattr(page, "find_spec", lambda _: None)
    async with running() as service:
        for path in ("/docs", "/docs/start.js"):
            answer = await service.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert "extra `reference`" in answer.json()["detail"]
        document = await service.client.get("/openapi/openapi.json")
        assert (document.status_code, document.json()["info"]["title"]) == (200, "Sluice")
        assert (await service.client.get("/v1/records")).status_code == 200


async def test_an_unknown_path_below_the_document_is_a_problem() -> None:
    """The framework's own pages are not served, nor its HTML for what is not there."""
    async with running() as service:
        for path in ("/openapi", "/openapi/swagger", "/schema"):
            answer: httpx.Response = await service.client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_no_code_of_the_package_is_run() -> None:
    """Its files are read; neither its Python nor the framework it is made for is imported."""
    program = """
import asyncio, sys
from testing.service import running
async def main():
    async with running() as service:
        assert (await service.client.get("/docs/swagger-ui-bundle.js")).status_code == 200
asyncio.run(main())
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "app.openapi.page" in loaded
    assert not [name for name in loaded if name.startswith(("django", "drf_spectacular"))]


async def test_the_document_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tag takes longer than the rest of an answer, also of one that is refused; and anyone may ask."""
    hashed: list[int] = []

    def counted(*parts: str | bytes) -> str:
        hashed.append(sum(map(len, parts)))
        return strong_etag(*parts)

    monkeypatch.setattr("app.http.assets.strong_etag", counted)
    monkeypatch.setattr("app.openapi.document.strong_etag", counted, raising=False)
    async with running() as service:
        answers = [await service.client.get("/openapi/openapi.json") for _ in range(3)]
    assert {answer.headers["etag"] for answer in answers} == {strong_etag(answers[0].content)}
    assert hashed.count(len(answers[0].content)) == 1
