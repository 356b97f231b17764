"""A real browser: headless Chromium, spoken to by its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/ describes the commands. Nothing is waited for by time: `until` asks
the page again and again.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from sluice.testing.pace import patience_s

_OPTIONS = (
    *("--headless=new", "--remote-debugging-port=0", "--hide-scrollbars", "--no-first-run", "--mute-audio"),
    *("--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-default-browser-check", "--lang=en-GB"),
)
_PATIENCE_S = patience_s(60.0)


class Page:
    """A tab: what is shown in it, and all that it asked for and complained about."""

    def __init__(self, browser: "Browser", session: str, context: str) -> None:
        self._browser, self._session, self._context = browser, session, context
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command about this tab; return its result."""
        return await self._browser.send(method, self._session, **parameters)

    async def open(self, url: str) -> None:
        """Go to an address, and wait until the document is loaded."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def run(self, script: str) -> Any:
        """Return the value of an expression in the page; of a promise, what it becomes."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        value: Any = None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not (value := await self.run(script)):  # noqa: ASYNC110 - the event is in another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            shown = await self.run("document.body.innerText")
            raise AssertionError(f"not within {_PATIENCE_S:g} s: {script}\n{shown}\n{self.complaints}") from None
        return value

    async def text(self, selector: str) -> str:
        """Return the text of the element that a selector finds."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).textContent"))

    async def shows(self, selector: str, words: str, *, whole: bool = False) -> None:
        """Wait until the text of the element that a selector finds contains these words, or is just these."""
        text, literal = f"document.querySelector({json.dumps(selector)})?.textContent", json.dumps(words)
        await self.until(f"{text} === {literal}" if whole else f"{text}?.includes({literal})")

    async def press(self, key: str) -> None:
        """Press Tab, Enter or Escape."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, "")}[key]
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        await self.send("Input.dispatchKeyEvent", **stroke, **down)
        await self.send("Input.dispatchKeyEvent", **stroke, type="keyUp")

    async def type(self, text: str) -> None:
        """Enter a text where the focus is."""
        await self.send("Input.insertText", text=text)

    async def size(self, width: int, height: int) -> None:
        """Give the window a size in CSS pixels."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def prefer(self, **features: str) -> None:
        """Set what the system prefers, as `color_scheme="dark"`."""
        media_features = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()
        ]
        await self.send("Emulation.setEmulatedMedia", features=media_features)

    async def keep_downloads(self, folder: Path) -> None:
        """Let the page's downloads be files in a folder."""
        await self._browser.send(
            "Browser.setDownloadBehavior", behavior="allow", browserContextId=self._context, downloadPath=str(folder)
        )

    async def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page, as PNG."""
        shot = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(_write, path, base64.b64decode(shot["data"]))

    def hear(self, method: str, event: dict[str, Any]) -> None:
        """Take note of an event."""
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(event["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(event["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if event["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(event["args"]))
            case "Log.entryAdded" if event["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")


class Browser:
    """A running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._sent = 0

    async def send(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send a command, about a tab if its session is named; return its result."""
        self._sent += 1
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._sent] = answer
        message = {"id": self._sent, "method": method, "params": parameters}
        await self._socket.send_json(message | ({"sessionId": session} if session else {}))
        async with asyncio.timeout(_PATIENCE_S):
            result: dict[str, Any] = await answer
        return result

    async def listen(self) -> None:
        """Take in answers and events until the connection ends."""
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" not in message:
                if (page := self._pages.get(message.get("sessionId", ""))) is not None:
                    page.hear(message["method"], message["params"])
                continue
            answer = self._waiting.pop(message["id"])
            if answer.done():
                continue  # its caller no longer waits
            if "error" in message:
                answer.set_exception(AssertionError(message["error"]))
            else:
                answer.set_result(message["result"])

    @asynccontextmanager
    async def page(self, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
        """Open a tab with nothing stored in it, and close it."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = await self.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"], context)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.send(f"{domain}.enable")
        await page.size(width, height)
        yield page
        await self.send("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def running(program: str) -> Iterator[str]:
    """Run the browser until the block ends, with all processes of its own; the value is the address of its protocol."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = [*_OPTIONS, f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        with (Path(folder) / "said").open("wb") as log:
            process = subprocess.Popen(
                [program, *options, "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield _address(process, Path(folder))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Wait until the browser has written where it listens."""
    port_file = folder / "DevToolsActivePort"
    deadline = time.monotonic() + _PATIENCE_S
    while not port_file.exists() or port_file.read_text().count("\n") < 1:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
        if process.returncode is not None or time.monotonic() > deadline:
            raise AssertionError(f"the browser did not start: {(folder / 'said').read_text()}")
    port, path = port_file.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Browser]:
    """Speak to a running browser until the block ends."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(url, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)) as socket,
    ):
        browser = Browser(socket)
        listening = asyncio.create_task(browser.listen())
        yield browser
        listening.cancel()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
