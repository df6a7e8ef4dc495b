"""Talks to the master over HTTP: a stored interpreter's manifest, and those of its files that this machine lacks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import islice

import httpx

from pybots_worker.contract import StoredInterpreter
from pybots_worker.interpreters.file_cache import FileCache
from pybots_worker.interpreters.file_stream import StreamRejectedError, frames
from pybots_worker.interpreters.manifest import (
    MAXIMUM_MANIFEST_BYTES,
    Manifest,
    ManifestRejectedError,
    read_manifest,
)

FILES_AT_ONCE = 500
"""The master answers no more in one request (`pybots.farm.hand_out_files`)."""
DOWNLOAD_SECONDS = 1800.0
_TIMEOUT = httpx.Timeout(60.0, connect=20.0)
_BUSY_SECONDS = 1.0


class DownloadError(Exception):
    """The artifact could not be fetched, or is not the one that was asked for; the text says why."""


class Download:
    """One interpreter's download, within its time."""

    def __init__(self, interpreter: StoredInterpreter) -> None:
        self.interpreter = interpreter
        self._deadline = time.monotonic() + DOWNLOAD_SECONDS

    def manifest(self) -> Manifest:
        """Fetch the manifest. Raises DownloadError."""
        url = f"{self.interpreter.url}/{self.interpreter.digest}"
        try:
            with httpx.stream("GET", url, timeout=_TIMEOUT) as response:
                response.raise_for_status()
                compressed = _Body(response, url, self._deadline).read_all(MAXIMUM_MANIFEST_BYTES)
            return read_manifest(compressed, self.interpreter.digest)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(_said(url, error)) from error
        except ManifestRejectedError as error:
            msg = f"the artifact from {url} was rejected: {error}"
            raise DownloadError(msg) from error

    def files(self, wanted: Mapping[str, int], cache: FileCache) -> None:
        """Fetch files (sha256 -> size) into the cache. Raises DownloadError, OSError."""
        url, left = f"{self.interpreter.url}/files", iter(wanted.items())
        try:
            with httpx.Client(timeout=_TIMEOUT) as client:
                while batch := dict(islice(left, FILES_AT_ONCE)):
                    self._batch(client, url, batch, cache)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(_said(url, error)) from error
        except StreamRejectedError as error:
            msg = f"what came from {url} was rejected: {error}"
            raise DownloadError(msg) from error

    def _batch(self, client: httpx.Client, url: str, batch: Mapping[str, int], cache: FileCache) -> None:
        asked = b"".join(map(bytes.fromhex, batch))
        while True:
            with client.stream("POST", url, content=asked) as response:
                if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    self._wait_for_place(url)
                    continue
                response.raise_for_status()
                for frame in frames(_Body(response, url, self._deadline), batch):
                    cache.take_in(frame)
                return

    def _wait_for_place(self, url: str) -> None:
        if time.monotonic() > self._deadline:
            msg = f"{url} has been busy for {DOWNLOAD_SECONDS:.0f} seconds"
            raise DownloadError(msg)
        time.sleep(_BUSY_SECONDS)


class _Body:
    """An answer's body as something to read from, until the time is over."""

    def __init__(self, response: httpx.Response, url: str, deadline: float) -> None:
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._url = url
        self._deadline = deadline
        self._left = b""

    def read(self, size: int, /) -> bytes:
        if not self._left:
            self._left = next(self._chunks, b"")
            if time.monotonic() > self._deadline:
                msg = f"{self._url} sends too slowly: {DOWNLOAD_SECONDS:.0f} seconds are over"
                raise DownloadError(msg)
        data, self._left = self._left[:size], self._left[size:]
        return data

    def read_all(self, limit: int) -> bytes:
        parts, size = [], 0
        while data := self.read(limit):
            size += len(data)
            if size > limit:
                msg = f"{self._url} sends more than {limit} bytes"
                raise DownloadError(msg)
            parts.append(data)
        return b"".join(parts)


def _said(url: str, error: Exception) -> str:
    return f"{url} cannot be fetched: {type(error).__name__}: {error}"
