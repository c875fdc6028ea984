"""The control socket of a live session: a line of JSON in, a line of JSON out.

    {"command": "freeze", "arguments": {}}     ->     {"ok": true, "message": "froze ...", "data": {}}

It lies beside the trace, mode 0600. Who asks is told by the kernel (SO_PEERCRED, unix(7)), not by what is
sent: the user of the session or root, and nobody who is watched. A command is a `Command`: a pydantic model
of its arguments and what does it; the session has a table of them. Imports only `errors` and `text`.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tracer.errors import RubiconError
from tracer.text import printable, valid_unicode

SUFFIX = ".control"
STEPS_SUFFIX = ".steps"
_BYTES_MAX = 1 << 16  # of a request
_ANSWER_BYTES_MAX = 1 << 25  # a line for each of 10,000 rules
_WAIT_SECONDS = 2.0  # for the rest of a request, and for room for an answer
_REFUSED_SECONDS = 0.05
_ANSWER_SECONDS = 30.0  # a scope of thousands takes its time
_PATH_MAX_BYTES = 107  # sun_path, unix(7)
_CREDENTIALS = struct.Struct("=iII")  # struct ucred


class Nothing(BaseModel):
    """Of a command without arguments."""

    model_config = ConfigDict(extra="forbid")


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str
    arguments: dict[str, Any] = {}


class Reply(BaseModel):
    ok: bool
    message: str = ""
    data: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: its process when it connected, as seen in our own namespaces."""

    pid: int
    user_id: int

    def __str__(self) -> str:
        return f"user {self.user_id} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Command:
    """`do` is called with an instance of `arguments`, on the thread of the socket, one at a time."""

    do: Callable[[Any, Peer], Reply]
    arguments: type[BaseModel] = Nothing


def steps_path(trace: Path) -> Path:
    """A socket of its own for telling steps: whoever is watched may, and may ask for nothing else."""
    return trace.with_name(trace.name + STEPS_SUFFIX)


def control_path(trace: Path) -> Path:
    return trace.with_name(trace.name + SUFFIX)


class Server:
    """The thread. `objection` says why a peer has no say, "" when it has; then `on_refused` is told.

    Raises OSError when there can be no socket there.
    """

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        objection: Callable[[Peer], str],
        on_refused: Callable[[str, Peer, str], object],
    ) -> None:
        self.path = path
        self._commands = dict(commands)
        self._objection = objection
        self._on_refused = on_refused
        self._stop = threading.Event()
        self._socket = _bound(path)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends an accept that waits
        if self._thread.is_alive():
            self._thread.join(_WAIT_SECONDS)
        self._socket.close()
        with suppress(OSError):
            self.path.unlink()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._stop.wait(0.1):  # out of descriptors, perhaps
                    return
                continue
            with connection, suppress(OSError):
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        peer = _peer(connection)
        why = self._objection(peer)
        connection.settimeout(_REFUSED_SECONDS if why else _WAIT_SECONDS)
        reply = self._refusal(connection, peer, why) if why else self._answer(_read_line(connection), peer)
        connection.sendall(reply.model_dump_json().encode() + b"\n")

    def _refusal(self, connection: socket.socket, peer: Peer, why: str) -> Reply:
        """Who has no say is not waited for, so that it cannot keep others from having theirs."""
        line = b""
        with suppress(OSError):
            line = _read_line(connection)
        request = _parsed(line)
        self._on_refused(request.command if isinstance(request, Request) else "", peer, why)
        return Reply(ok=False, message=f"refused: {why}")

    def _answer(self, line: bytes, peer: Peer) -> Reply:
        request = _parsed(line)
        if isinstance(request, Reply):
            return request
        command = self._commands.get(request.command)
        if command is None:
            known = ", ".join(sorted(self._commands))
            return Reply(ok=False, message=f"no such command; there are {known}")
        try:
            return command.do(command.arguments.model_validate(request.arguments), peer)
        except ValidationError as error:
            return Reply(ok=False, message=_words(error))
        except Exception as error:  # noqa: BLE001  whoever asked is told; the session goes on
            return Reply(ok=False, message=f"failed: {error!r}")


def _parsed(line: bytes) -> Request | Reply:
    try:
        return Request.model_validate_json(line)
    except ValidationError as error:
        return Reply(ok=False, message=_words(error))


def _words(error: ValidationError) -> str:
    parts = [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ")
        for each in error.errors(include_url=False)
    ]
    return valid_unicode("; ".join(parts))


def _read_line(connection: socket.socket, most_bytes: int = _BYTES_MAX) -> bytes:
    data = bytearray()
    while len(data) < most_bytes:
        more = connection.recv(_BYTES_MAX)
        data += more
        if not more or b"\n" in more:
            break
    return bytes(data.partition(b"\n")[0])


def _peer(connection: socket.socket) -> Peer:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user_id, _group_id = _CREDENTIALS.unpack(data)
    return Peer(pid, user_id)


def not_ours(peer: Peer) -> str:
    """Why a peer has no say in what this user runs; "" when it has."""
    return "" if peer.user_id in (0, os.geteuid()) else "the session is another user's"


def _bound(path: Path) -> socket.socket:
    """0600 from the first moment: bind(2) makes the file with what the socket's own mode allows.

    A socket that is there already is of an engine that was killed: the trace beside it is ours alone.
    """
    if path.is_socket():
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(listener.fileno(), 0o600)
        with _reachable(path) as name:
            listener.bind(name)
        listener.listen(8)
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name short enough for a socket: a long one goes through a descriptor of its folder."""
    if len(os.fsencode(path)) <= _PATH_MAX_BYTES:
        yield os.fspath(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(trace: Path, command: str, /, **arguments: Any) -> Reply:
    """Have the live session that writes `trace` do something. Raises RubiconError when it cannot be asked."""
    return ask_at(control_path(trace), command, **arguments)


def ask_at(path: Path, command: str, /, **arguments: Any) -> Reply:
    """The same of the session that listens at `path`."""
    request = Request(command=command, arguments=arguments).model_dump_json().encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            with _reachable(path) as name:
                connection.connect(name)
            connection.sendall(request)
            return Reply.model_validate_json(_read_line(connection, _ANSWER_BYTES_MAX))
        except OSError as error:
            reason = error.strerror or str(error)
            raise RubiconError(f"cannot reach the session at {printable(str(path))}: {reason}") from None
        except ValidationError:
            raise RubiconError(f"the session at {printable(str(path))} gave no answer") from None
