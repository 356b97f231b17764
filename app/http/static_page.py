"""An HTML page and the files that it loads, at `<path>/<version>/<name>`.

The version covers all files together, and scripts import each other by relative paths. So everything that a page loads
belongs to one release, even while instances of two releases are running, and can be cached forever.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.assets import FOREVER, HTML, MEDIA_TYPES, REVALIDATED, Asset, asset, asset_response
from app.http.conditional import strong_etag
from app.http.problems import ProblemError
from app.http.reading import METHODS

_FOLDERS = ("assets", "vendor")


class StaticPage:
    """The page `page.html` of a folder, and the files in its assets/ and vendor/, read on first request."""

    def __init__(self, folder: Path, path: str) -> None:
        """Serve the files below `path`, which begins with a slash."""
        self._folder, self._path = folder, path
        self._files: dict[str, Asset] = {}
        self._html: Asset | None = None
        self._version = ""

    async def html(self) -> Asset:
        """Return the page; `{files}` in it is the folder of its files, and `{modules}` links to preload scripts."""
        if self._html is None:
            self._files, text = await asyncio.to_thread(_read_files, self._folder)
            self._version = _version(self._files.values())
            # At once, not one after another as they import each other: under load each request takes its time.
            modules = sorted(name for name in self._files if name.endswith(".js") and name not in text)
            links = "\n".join(f'<link rel="modulepreload" href="{{files}}/{name}">' for name in modules)
            text = text.replace("{modules}", links).replace("{files}", f"{self._path[1:]}/{self._version}")
            self._html = asset(text.encode(), HTML)
        return self._html

    def files_route(self) -> HTTPRouteHandler:
        """Return the route of the files."""

        @route(self._path + "/{version:str}/{name:str}", http_method=METHODS)
        async def read_file(request: Request[Any, Any, Any]) -> Response[bytes]:
            await self.html()
            file = self._files.get(request.path_params["name"])
            if file is None:
                raise ProblemError("not_found", "the page has no file of this name")
            is_current = request.path_params["version"] == self._version
            return asset_response(request, file, FOREVER if is_current else REVALIDATED)

        return read_file


def _version(files: Iterable[Asset]) -> str:
    return strong_etag(*sorted(each.etag for each in files)).strip('"')[:16]


def _read_files(folder: Path) -> tuple[dict[str, Asset], str]:
    files = [file for each in _FOLDERS for file in (folder / each).iterdir() if file.suffix in MEDIA_TYPES]
    assets = {file.name: asset(file.read_bytes(), MEDIA_TYPES[file.suffix]) for file in files}
    return assets, (folder / "page.html").read_text(encoding="utf-8")
