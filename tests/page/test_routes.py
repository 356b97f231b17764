"""What `/` and the page's files are over HTTP, and what they have in common with the reference page at `/docs`."""

import re

import pytest

from sluice.testing.service import SETTINGS, running
from tests.openapi.test_page import parsed
from tests.streams.service import MARKET
from tests.support.process import ROOT

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FILES = [file for folder in ("assets", "vendor") for file in (ROOT / "app" / "page" / folder).iterdir()]
SENT = sorted(file.name for file in FILES if file.suffix in {".js", ".css", ".svg"})


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.5"])
async def test_programs_get_links(accept: str | None) -> None:
    """Each leads to something that answers; what only one role serves is named by that role alone."""
    headers = {} if accept is None else {"Accept": accept}
    async with running() as service:
        if accept is None:
            del service.client.headers["Accept"]
        answer = await service.client.get("/", headers=headers)
        told = answer.json()
        assert (answer.headers["content-type"], answer.headers["vary"]) == (
            "application/json",
            "Accept, Accept-Encoding",
        )
        assert (told["name"], told["backend"], told["roles"]) == ("Sluice", "embedded", ["ingest", "query"])
        for link in set(told["links"].values()) - {"v1/records/tail"}:
            # No key has been fetched yet, so the instance may say that it is not ready.
            right = {200, 503} if link == "health/ready" else {200}
            assert (await service.client.get(f"/{link}")).status_code in right, link
        assert (await service.client.post("/v1/records", json=told["example"])).status_code == 201
    async with running(SETTINGS.replace(roles=("ingest",))) as service:
        assert not [link for link in (await service.client.get("/")).json()["links"].values() if "v1" in link]


async def test_the_streams_are_linked_where_they_are_named() -> None:
    """The page offers a choice by this link alone; a service with a single type has no such path."""
    async with running(MARKET) as service:
        links = (await service.client.get("/")).json()["links"]
        assert links["streams"] == "v1/streams"
        assert [each["name"] for each in (await service.client.get("/v1/streams")).json()["streams"]]
    async with running() as service:
        assert "streams" not in (await service.client.get("/")).json()["links"]
        assert (await service.client.get("/v1/streams")).status_code == 404


async def test_browsers_get_the_page_and_all_it_loads() -> None:
    """Each file is there, has its type and may be kept for ever; nothing comes from elsewhere or stands inline."""
    async with running() as service:
        answer = await service.client.get("/", headers=BROWSER)
        assert (answer.headers["content-type"], answer.headers["vary"]) == (
            "text/html; charset=utf-8",
            "Accept, Accept-Encoding",
        )
        found = parsed(answer.text)
        assert "://" not in answer.text
        assert found.inline == []
        (folder,) = {link.rpartition("/")[0] for link in found.loaded if link.startswith("page/")}
        for name in SENT:
            file = await service.client.get(f"/{folder}/{name}")
            assert file.status_code == 200, name
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.headers["content-type"].startswith(("text/javascript", "text/css", "image/svg+xml"))
            assert file.headers["x-content-type-options"] == "nosniff"
        asked = {link.rpartition("/")[2] for link in found.loaded if link.startswith("page/")}
        scripts = "".join(file.read_text() for file in FILES if file.suffix == ".js" and file.parent.name == "assets")
        assert asked | set(re.findall(r'from "\./([a-z-]+\.js)"', scripts)) == set(SENT)
        assert "://" not in scripts


@pytest.mark.parametrize(("path", "headers"), [("/", BROWSER), ("/docs", {})])
async def test_the_pages_may_load_and_run_nothing_else(path: str, headers: dict[str, str]) -> None:
    """The browser is told so; and, where records are shown, that no text may become markup."""
    async with running() as service:
        policy = (await service.client.get(path, headers=headers)).headers["content-security-policy"]
    rules = {name: sources for name, _, sources in (rule.strip().partition(" ") for rule in policy.split(";"))}
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert rules.get("require-trusted-types-for") == ("'script'" if path == "/" else None)
    assert rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/", BROWSER), ("/", {}), ("/docs", {}), ("/docs/another/reference.css", {}), ("/openapi/openapi.json", {})],
)
async def test_what_a_client_has_is_not_sent_again(path: str, headers: dict[str, str]) -> None:
    """Its entity tag is answered with 304; HEAD says what GET would."""
    async with running() as service:
        got, head = await service.client.get(path, headers=headers), await service.client.head(path, headers=headers)
        assert (head.status_code, head.content, {**head.headers}) == (200, b"", {**got.headers})
        assert got.headers["cache-control"] == "no-cache"
        again = await service.client.get(path, headers=headers | {"If-None-Match": got.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", got.headers["etag"])


@pytest.mark.parametrize(("path", "headers"), [("/", BROWSER), ("/", {}), ("/docs", {}), ("/openapi/openapi.json", {})])
@pytest.mark.parametrize("accepted", ["gzip", "br;q=1.0, gzip;q=0.8", "GZIP"])
async def test_texts_are_compressed_for_those_who_say_so(path: str, headers: dict[str, str], accepted: str) -> None:
    """The same text in fewer bytes, under a tag of its own, so that neither is taken for the other."""
    async with running() as service:
        plain = await service.client.get(path, headers=headers | {"Accept-Encoding": "identity"})
        small = await service.client.get(path, headers=headers | {"Accept-Encoding": accepted})
        assert (plain.headers.get("content-encoding"), small.headers["content-encoding"]) == (None, "gzip")
        assert small.text == plain.text
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"])
        assert small.headers["etag"] != plain.headers["etag"]
        asked = headers | {"Accept-Encoding": accepted, "If-None-Match": small.headers["etag"]}
        assert (await service.client.get(path, headers=asked)).status_code == 304
        asked["If-None-Match"] = plain.headers["etag"]
        assert (await service.client.get(path, headers=asked)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *(f"/page/x/{name}" for name in ("vendor.sh", "..%2froutes.py", "page.html", "SHA256SUMS", "%00")),
        *(f"/docs/{name}" for name in ("page.py", "x/..%2fpage.py", "x/page.html", "x/SHA256SUMS", "x/%00")),
    ],
)
async def test_no_other_file_is_served(path: str) -> None:
    """The folders are not open: a file has to be one of a page's."""
    async with running() as service:
        answer = await service.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_file_of_another_release_is_not_kept() -> None:
    """Asked for by another version it is sent as it is now, and is to be asked for again."""
    async with running() as service:
        answer = await service.client.get("/page/another/main.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
