"""The reference page: everything it needs comes from the service, and nothing may come from elsewhere."""

import asyncio
import os
import re
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urljoin

import httpx
import pytest
from msgspec import Meta, Struct

from app.http.conditional import strong_etag
from sluice.testing.process import ROOT, serving
from sluice.testing.service import SETTINGS, running

ID = {"sluice": ["id"]}


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
async def test_the_page_loads_a_style_sheet_of_the_service_only(path: str) -> None:
    """It is there, has its type, and may be kept for ever; nothing comes from a network, and nothing runs."""
    async with running() as service:
        answer = await service.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        found = parsed(answer.text)
        assert [link for link in found.loaded if "://" in link] == []
        assert found.inline == []
        assert "<script" not in answer.text
        (link,) = (link for link in found.loaded if ".css" in link)
        file = await service.client.get(urljoin(path, link))
        assert (file.status_code, file.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert file.headers["x-content-type-options"] == "nosniff"


class Hostile(Struct, forbid_unknown_fields=True):
    """A type with <script>x()</script> and `<b>` in its words."""

    id: Annotated[str, Meta(description='<img src="x" onerror="x()">', examples=["</pre><b>"], extra=ID)]
    kind: Literal['"><script>', "{reference}"]


async def test_a_declaration_brings_no_markup() -> None:
    """Its words are text wherever they appear, in code and examples, too."""
    async with running(SETTINGS.replace(record=f"{__name__}:Hostile")) as service:
        html = (await service.client.get("/docs")).text
    assert parsed(html).inline == []
    assert "&lt;script&gt;x()&lt;/script&gt;" in html
    assert "&lt;/pre&gt;&lt;b&gt;" in html
    assert not re.search("<(script|img|b)[ >]", html)
    assert "{reference}" in html


async def test_the_page_has_every_operation_and_every_link_leads_somewhere() -> None:
    """Once each, except HEAD; the links are those of the contents, of schemas and of problems."""
    async with running() as service:
        html = (await service.client.get("/docs")).text
        document = (await service.client.get("/openapi/openapi.json")).json()
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(set(ids)) == len(ids)
    operations = [each for item in document["paths"].values() for method, each in item.items() if method != "head"]
    assert {each["operationId"] for each in operations} <= set(ids)
    assert html.count('class="method"') == len(operations)
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert {f"schemas-{name}" for name in document["components"]["schemas"]} <= set(ids)


async def test_links_work_with_a_slash_and_below_a_prefix() -> None:
    """They are relative, so they lead to the same places from `/docs` and from `/docs/`."""
    async with running() as service:
        for path in ("/docs", "/docs/"):
            links = re.findall(r'href="([^#"][^"]*)"', (await service.client.get(path)).text)
            found = {urljoin(f"/prefix{path}", link).partition("?")[0] for link in links if link != "data:,"}
            assert found == {"/prefix/docs/reference.css", "/prefix/", "/prefix/openapi/openapi.json"}


async def test_the_command_of_an_operation_can_be_sent(tmp_path: Path) -> None:
    """A shell runs what the page shows; the record is stored."""
    async with serving(tmp_path / "data.duckdb") as (process, client):
        html = (await client.get("/docs")).text
        part = html.partition('id="createRecords"')[2]
        command = unescape(re.findall(r"<pre><code>(.*?)</code>", part.partition("<h4>Command</h4>")[2], re.DOTALL)[0])
        environment = {**os.environ, "SLUICE": process.url, "TOKEN": "none"}
        run = ["sh", "-c", command]
        sent = await asyncio.to_thread(subprocess.run, run, env=environment, capture_output=True, text=True, check=True)
        assert '"status":"stored"' in sent.stdout, sent.stdout
        assert (await client.get("/v1/records?freshness=latest")).json()["records"]


def test_its_colours_are_those_of_the_other_page() -> None:
    """Each colour has the name and the values that its contrast is tested with."""
    of_page, of_reference = (
        set(re.findall(r"--[a-z-]+: light-dark\([^)]+\)", (ROOT / "app" / path).read_text()))
        for path in ("page/assets/palette.css", "openapi/reference.css")
    )
    assert of_reference
    assert of_reference <= of_page


async def test_an_unknown_path_below_the_document_is_a_problem() -> None:
    """The framework's own pages are not served, nor its HTML for what is not there."""
    async with running() as service:
        for path in ("/openapi", "/openapi/swagger", "/schema"):
            answer: httpx.Response = await service.client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


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
    compressed = strong_etag(answers[0].content)[:-1] + '-gzip"'
    assert {answer.headers["etag"] for answer in answers} == {compressed}
    assert hashed.count(len(answers[0].content)) == 1
