"""Read objects of Cloud Storage over its JSON API, with the libraries that BigQuery's client brings.

An object is read in ranges, so that a file of any size takes little memory and a lost connection costs one range. Every
range names the generation that was listed: an object that is replaced meanwhile is an error, never a mixture.
https://cloud.google.com/storage/docs/json_api/v1
"""

import io
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from app.runtime.packages import missing_package
from sluice.ops.backfill.formats import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HOST = "https://storage.googleapis.com"
_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
_RANGE_BYTES = 8 * 1024**2
_TIMEOUT_S = 60.0
_ATTEMPTS, _PAUSE_S = 6, 0.5
_AGAIN = {408, 429, 500, 502, 503, 504}


class Blob(msgspec.Struct, frozen=True):
    """An object as it was listed."""

    name: str
    size_bytes: int
    generation: str


class Bucket:
    """One bucket. `emulator` is the value of STORAGE_EMULATOR_HOST, which is called without credentials."""

    def __init__(self, name: str, emulator: str = "") -> None:
        self._name = name
        self._host = (emulator if "://" in emulator else f"http://{emulator}").rstrip("/") if emulator else _HOST
        self._session = _session(is_emulator=bool(emulator))

    def list(self, prefix: str) -> Iterator[Blob]:
        """Yield the objects whose names begin with `prefix`.

        Raises:
            SourceError: the bucket cannot be listed.
        """
        page = ""
        while True:
            query = {"prefix": prefix, "fields": "items(name,size,generation),nextPageToken"}
            answer = self._get(f"/storage/v1/b/{self._name}/o", query | ({"pageToken": page} if page else {})).json()
            for item in answer.get("items", ()):
                yield Blob(item["name"], int(item.get("size", 0)), str(item.get("generation", "")))
            page = answer.get("nextPageToken") or ""
            if not page:
                return

    def open(self, blob: Blob) -> IO[bytes]:
        """Return an object as a file that can be read and sought."""
        return io.BufferedReader(_Ranges(self, blob), _RANGE_BYTES)

    def read(self, blob: Blob, start: int, length: int) -> bytes:
        """Return up to `length` bytes of an object.

        Raises:
            SourceError: they cannot be read.
        """
        path = f"/storage/v1/b/{self._name}/o/{quote(blob.name, safe='')}"
        last = min(start + length, blob.size_bytes) - 1
        query = {"alt": "media"} | ({"generation": blob.generation} if blob.generation else {})
        answer = self._get(path, query, {"Range": f"bytes={start}-{last}"})
        body: bytes = answer.content
        return body[start : last + 1] if answer.status_code == 200 else body  # an emulator may ignore the range

    def _get(self, path: str, query: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        import requests  # noqa: PLC0415 - an extra
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - likewise

        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S * 2**attempt)
            try:
                answer = self._session.get(self._host + path, params=query, headers=headers, timeout=_TIMEOUT_S)
            except GoogleAuthError as error:
                raise SourceError(f"gs://{self._name}: no usable Google credentials: {error}") from error
            except requests.RequestException as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if answer.ok:
                return answer
            problem = f"HTTP {answer.status_code}: {' '.join(answer.text.split())[:300]}"
            if answer.status_code not in _AGAIN:
                break
        raise SourceError(f"gs://{self._name}: {problem}")


class _Ranges(io.RawIOBase):
    """An object as a raw file: each read is one range."""

    def __init__(self, bucket: Bucket, blob: Blob) -> None:
        self._bucket, self._blob, self._position = bucket, blob, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._blob.size_bytes}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        if not len(view) or self._position >= self._blob.size_bytes:
            return 0
        body = self._bucket.read(self._blob, self._position, len(view))
        view[: len(body)] = body
        self._position += len(body)
        return len(body)


def _session(*, is_emulator: bool) -> Any:
    try:
        import google.auth  # noqa: PLC0415 - an extra
        import requests  # noqa: PLC0415 - likewise
        from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - likewise
        from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise SourceError(missing_package("gs://", error, "backfill")) from error
    if is_emulator:
        session = requests.Session()
        session.trust_env = False  # on this machine: through no proxy
        return session
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError as error:
        raise SourceError("no Google credentials: run `gcloud auth application-default login`") from error
    return AuthorizedSession(credentials)
