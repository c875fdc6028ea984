"""The stream -> traces in a folder, byte for byte as they were recorded elsewhere."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from tracer.errors import RubiconError
from tracer.fleet.stream import (
    AWAY,
    STREAM,
    SUBJECTS,
    Address,
    Piece,
    State,
    cause,
    closed,
    connected,
    piece_of,
    token,
)
from tracer.trace.rotate import create, let_go

POLL_SECONDS = 0.2
BLOCK_PIECES_MAX = 128  # 64 MiB: more is no block
_SUBJECT = re.compile(r"rubicon\.trace\.([A-Za-z0-9_-]{1,255})\.([A-Za-z0-9_-]{1,200})")


@dataclass(slots=True)
class _Copy:
    """One session. `descriptor` is locked while it is live, as a writer's is; -1 when it has ended."""

    descriptor: int
    last: Piece | None = None
    pieces: list[bytes] = field(default_factory=list)
    is_broken: bool = False


class Mirror:
    """The thread. What is in the stream is in the folder when `caught_up` is set; then, as it comes.

    With a session in the address only that. `say` gets words for a person.
    """

    def __init__(self, address: Address, folder: Path, say: Callable[[str], object] = lambda _: None) -> None:
        self.caught_up = threading.Event()
        self.error: RubiconError | None = None
        self._address = address
        self._folder = folder
        self._say = say
        self._copies: dict[str, _Copy] = {}
        self._next = 1  # message of the stream
        self._stop = threading.Event()
        self._filter = f"rubicon.trace.*.{token(address.session)}" if address.session else SUBJECTS
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def fetch(self) -> None:
        """What there is now. Raises RubiconError when the server is not there."""
        self.start()
        self.caught_up.wait()
        self.stop()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for copy in self._copies.values():
            _end(copy)

    def _run(self) -> None:
        asyncio.run(self._mirror())

    async def _mirror(self) -> None:
        """A server that goes away is asked again; one that was never there is an error."""
        while not self._stop.is_set():
            try:
                client, stream = await connected(self._address)
                try:
                    await self._take_all(stream)
                finally:
                    await closed(client)
            except AWAY as error:
                if not self.caught_up.is_set():
                    self.error = RubiconError(f"cannot reach {self._address.shown}: {cause(error)}")
                    self.caught_up.set()
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _take_all(self, stream: JetStreamContext) -> None:
        while not self._stop.is_set():
            try:
                message = await stream.get_msg(STREAM, seq=self._next, subject=self._filter, next=True)
            except NotFoundError:
                self.caught_up.set()
                await asyncio.sleep(POLL_SECONDS)
                continue
            self._take(message)
            self._next = (message.seq or self._next) + 1

    def _take(self, message: RawStreamMsg) -> None:
        """Whoever may publish may send anything: what does not follow ends the copy of that session."""
        found = _SUBJECT.fullmatch(message.subject or "")
        piece = piece_of(message.headers)
        if found is None or piece is None:
            return
        copy = self._copy(found[2])
        if copy.descriptor < 0 or copy.is_broken or (copy.last is not None and piece <= copy.last):
            return
        state = (message.headers or {}).get("Rubicon-State")
        if state == State.CUT:
            _end(copy)
            return
        if not _follows(piece, copy.last) or piece.count > BLOCK_PIECES_MAX:
            copy.is_broken = True
            self._say(
                f"{found[2]}: a block is missing in the stream: the copy ends before block {piece.block}"
            )
            _end(copy)
            return
        copy.last = piece
        copy.pieces.append(message.data or b"")
        if piece.number == piece.count - 1:
            _append(copy.descriptor, b"".join(copy.pieces))
            copy.pieces.clear()
        if state == State.ENDED:
            _end(copy)

    def _copy(self, session: str) -> _Copy:
        copy = self._copies.get(session)
        if copy is None:
            copy = self._copies[session] = _Copy(create(self._folder / f"{session}.trace"))
        return copy


def _follows(piece: Piece, last: Piece | None) -> bool:
    """A session may begin with any block: its first parts may be removed where it was recorded."""
    if last is None:
        return piece.number == 0
    if last.number == last.count - 1:
        return (piece.block, piece.number) == (last.block + 1, 0)
    return piece == Piece(last.block, last.number + 1, last.count)


def _append(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _end(copy: _Copy) -> None:
    if copy.descriptor >= 0:
        let_go(copy.descriptor)
        copy.descriptor = -1
