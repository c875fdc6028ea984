"""A trace -> the stream, block by block, also while it grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from tracer.errors import TraceError
from tracer.fleet.stream import (
    AWAY,
    PIECE_BYTES,
    STREAM,
    Address,
    Piece,
    State,
    cause,
    closed,
    connected,
    piece_of,
    subject_of,
)
from tracer.trace import Block, Reader

POLL_SECONDS = 0.1
LINGER_SECONDS = 30.0
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.25, 5.0


@dataclass(slots=True)
class Published:
    """`waiting`: blocks that the server has not taken."""

    blocks: int = 0
    waiting: int = 0


class Publisher:
    """`say` gets words for a person. Raises TraceError when the file is no trace."""

    def __init__(
        self,
        trace: Path,
        address: Address,
        say: Callable[[str], object],
        *,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.published = Published()
        self._address = address
        self._say = say
        self._linger_seconds = linger_seconds
        self._reader = Reader(trace)
        self._session = str(self._reader.session.get("id") or "")
        self._subject = subject_of(str(self._reader.session.get("host") or ""), self._session)
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._last: Piece | None = None  # that the stream has
        self._give_up_at = float("inf")
        self._away = False

    async def run(self) -> Published:
        """To the end of the session, and until all is published or given up."""
        try:
            async for block, data, state in self._blocks():
                self.published.waiting += 1
                if self._give_up_at < float("inf") and self.published.waiting > 1:
                    continue
                if await self._put_block(block, data, state):
                    self.published.waiting -= 1
                    self.published.blocks += bool(data)
        finally:
            self._reader.close()
            await self._drop()
        return self.published

    async def _blocks(self) -> AsyncIterator[tuple[int, bytes, State]]:
        """Number, bytes, and whether it is the last."""
        cursor = self._reader.cursor()
        gone = False
        while True:
            result = cursor.next()
            if isinstance(result, Block):
                is_last = cursor.sealed or (cursor.ended and gone)
                data = self._reader.bytes_of(result)
                yield result.header.sequence, data, State.ENDED if is_last else State.LIVE
                if is_last:
                    return
                continue
            if gone:
                if not cursor.ended:
                    yield cursor.sequence, b"", State.CUT
                if result is not None:
                    raise TraceError(f"the trace is damaged: {result.message}")
                return
            gone = not self._reader.is_live()
            if not gone:
                await asyncio.sleep(POLL_SECONDS)

    async def _put_block(self, block: int, data: bytes, state: State) -> bool:
        if state is not State.LIVE:
            self._end_soon()
        count = max(1, -(-len(data) // PIECE_BYTES))
        for number in range(count):
            piece = Piece(block, number, count)
            part = data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
            if not await self._put(piece, part, state if number == count - 1 else State.LIVE):
                return False
        return True

    async def _put(self, piece: Piece, data: bytes, state: State) -> bool:
        """Until the server says that it has it; false when there is no time left for that."""
        delay_seconds = _FIRST_DELAY_SECONDS
        headers = {
            "Nats-Msg-Id": f"{self._session}:{piece.block}:{piece.number}:{state.value}",
            "Rubicon-Block": piece.header,
            "Rubicon-State": state.value,
        }
        while True:
            try:
                stream = await self._connected()
                if self._last is None or self._last < piece:
                    await stream.publish(self._subject, data, headers=headers, stream=STREAM)
                    self._last = piece
            except AWAY as error:
                await self._drop()
                if not self._reader.is_live():
                    self._end_soon()
                if time.monotonic() + delay_seconds > self._give_up_at:
                    return False
                self._tell_away(cause(error))
                await asyncio.sleep(delay_seconds)
                delay_seconds = min(2 * delay_seconds, _LONGEST_DELAY_SECONDS)
            else:
                self._tell_back()
                return True

    def _end_soon(self) -> None:
        """The session is over: nobody waits for us for ever."""
        self._give_up_at = min(self._give_up_at, time.monotonic() + self._linger_seconds)

    async def _connected(self) -> JetStreamContext:
        """Also what the stream has of this session, when it is a new connection."""
        if self._stream is None:
            self._client, self._stream = await connected(self._address)
            try:
                message = await self._stream.get_last_msg(STREAM, self._subject)
            except NotFoundError:
                self._last = None
            else:
                self._last = piece_of(message.headers)
        return self._stream

    async def _drop(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            await closed(client)

    def _tell_away(self, why: str) -> None:
        if not self._away:
            self._away = True
            self._say(f"{self._address.shown}: {why}; what is recorded meanwhile is published later")

    def _tell_back(self) -> None:
        if self._away:
            self._away = False
            self._say(f"{self._address.shown}: published again")
