"""A server over real HTTP that says what a test wants it to say."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.http_server import Handler, serving_http


@contextmanager
def answering(answers: dict[str, tuple[int, str, bytes]]) -> Iterator[str]:
    """Serve an answer for each path, its status, type and body; the value is the base URL."""

    class Answers(Handler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            by_method = answers.get(f"{self.command} {path}") or answers.get(path)
            status, kind, body = by_method or (404, "text/html", b"<h1>not here</h1>")
            moved = {"Location": "https://elsewhere.example/"} if 300 <= status < 400 else {}
            self.reply(body, kind, status, **moved)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

    with serving_http(Answers) as url:
        yield url
