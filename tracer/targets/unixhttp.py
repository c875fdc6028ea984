"""HTTP over a unix socket, as Docker and Podman speak it: an answer in JSON, or a stream of events."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

TIMEOUT_SECONDS = 10.0
ANSWER_MAX_BYTES = 64 * 2**20
EVENT_MAX_BYTES = 2**20


class NotFound(Exception):  # noqa: N818  it is an answer, and a common one
    pass


class _Connection(HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get_bytes(path: str, url: str) -> bytes:
    """Raises NotFound, and OSError for whatever else is wrong."""
    connection = _Connection(path, TIMEOUT_SECONDS)
    try:
        return _asked(connection, url).read(ANSWER_MAX_BYTES)
    except HTTPException as error:
        raise OSError(f"{path}: {error!r}") from error
    finally:
        connection.close()


def get(path: str, url: str) -> Any:
    try:
        return json.loads(get_bytes(path, url))
    except ValueError as error:
        raise OSError(f"{path}: the answer is not JSON") from error


def _asked(connection: HTTPConnection, url: str) -> HTTPResponse:
    connection.request("GET", url)
    answer = connection.getresponse()
    if answer.status == 404:
        raise NotFound
    if answer.status != 200:
        raise OSError(f"HTTP status {answer.status}: {answer.read(200).decode('utf-8', 'replace').strip()}")
    return answer


class Stream:
    """Events, a JSON object a line, from the moment this is made. `close` from any thread ends it."""

    def __init__(self, path: str, url: str) -> None:
        """Raises OSError when it cannot be had."""
        self._connection = _Connection(path, TIMEOUT_SECONDS)
        try:
            self._connection.connect()
            self._socket = self._connection.sock
            self._answer = _asked(self._connection, url)
            self._socket.settimeout(None)
        except BaseException as error:
            self._connection.close()
            if isinstance(error, HTTPException):
                raise OSError(f"{path}: {error!r}") from error
            raise

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Until the other side ends it, or `close`."""
        while line := self._line():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event

    def _line(self) -> bytes:
        try:
            return self._answer.readline(EVENT_MAX_BYTES)
        except (OSError, HTTPException, ValueError, AttributeError):  # closed, here or there
            return b""

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()
