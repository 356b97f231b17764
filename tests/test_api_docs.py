"""What docs/api.md shows is so: its requests are answered as it says."""

import json
import shlex

import httpx

from tests.documents import Block, Shown, blocks
from tests.shop import DOCUMENT, shop

BLOCKS = blocks(DOCUMENT)


def exchanges() -> list[tuple[str, Block | None]]:
    """Return each curl line of the page, and the block that shows its answer."""
    found: list[tuple[str, Block | None]] = []
    for block, after in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        if block.language == "sh":
            is_answer = after is not None and after.follows and after.language != "sh"
            found.append((block.text.strip(), after if is_answer else None))
    return found


async def ask(client: httpx.AsyncClient, line: str) -> httpx.Response:
    """Send the request of a curl line."""
    command, *words = shlex.split(line)
    assert command == "curl"
    method, headers, url, body = "GET", {}, "", ""
    for option, value in zip(words, [*words[1:], ""], strict=True):
        match option:
            case "-I":
                method = "HEAD"
            case "-X":
                method = value
            case "-H":
                name, _, text = value.partition(": ")
                headers[name] = text
            case "-d":
                method, body = "POST", value
            case _ if option.startswith("http://127.0.0.1:8080/"):
                url = option
    return await client.request(method, httpx.URL(url).raw_path.decode(), headers=headers, content=body)


def wrong(shown: Shown, block: Block | None, answer: httpx.Response) -> list[str]:
    """Return where an answer is not the one that `block` shows; a problem shows its own status."""
    told = json.loads(block.text) if block is not None and block.language == "json" else {}
    if answer.status_code != told.get("status", 201 if answer.request.method == "POST" else 200):
        return [f"{answer.status_code} {answer.text}"]
    match block.language if block is not None else None, block.text if block is not None else "":
        case None, _:
            return []
        case "json", _:
            return shown.differences(told, answer.json())
        case "ndjson", text:
            lines, found = ([json.loads(line) for line in each.splitlines()] for each in (text, answer.text))
            return shown.differences(lines, found)
        case "http", text:
            headers = dict(line.split(": ", 1) for line in text.splitlines())
            return shown.differences(headers, {name: answer.headers.get(name) for name in headers})
        case "csv", text:
            return shown.differences(text.splitlines(), answer.text.splitlines())
        case language, _:
            raise AssertionError(f"an answer in {language}")


async def test_every_request_is_answered_as_the_page_shows() -> None:
    """Members, values, headers and lines are those of the page, whose cursors work, too."""
    shown = Shown()
    found: list[str] = []
    async with shop() as service:
        for line, block in exchanges():
            if "/tail" not in line and "Authorization" not in line:  # which tests/contract and tests/auth try
                answer = await ask(service.client, shown.whole(line))
                found += [f"{line}: {each}" for each in wrong(shown, block, answer)]
    assert found == []
