"""Reading a trace block by block, in constant memory, trusting nothing in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zstandard

from tracer.errors import TraceError
from tracer.text import printable
from tracer.trace.blocks import (
    HEADER_BYTES,
    MAGIC,
    Block,
    Header,
    block_hash,
    decode_block,
)
from tracer.trace.parts import Parts, Place, unfolded


class DamageKind(StrEnum):
    TORN = "torn"  # the last block is not all there: a crash, a copy that stopped
    ALTERED = "altered"  # the bytes are not those that were written
    REORDERED = "reordered"  # a sound block that does not belong here: one is missing, moved or repeated


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a trace stops being believable: number and byte offset of the first bad block, and why."""

    kind: DamageKind
    block: int
    offset: int
    message: str


class Cursor:
    """A place in a trace: `next` checks the block that begins there and steps over it.

    `memory(sequence)` may hand over a block that the writer could not put on disk yet.
    """

    def __init__(
        self,
        parts: Parts,
        memory: Callable[[int], bytes | None] | None = None,
        place: Place | None = None,
    ) -> None:
        place = parts.first if place is None else place
        self.offset = place.offset  # bytes
        self.sequence = place.sequence  # of the block that should begin at `offset`
        self.ended = False  # the block with the end record was read; no more than a seal may follow
        self.sealed = False  # and that was read, too
        self._previous = place.previous
        self._parts = parts
        self._memory = memory
        self._decompressor = zstandard.ZstdDecompressor()

    @property
    def place(self) -> Place:
        return Place(self.offset, self.sequence, self._previous)

    def next(self) -> Block | Damage | None:
        """The next intact block, or what is wrong with it, or None at the end of the file.

        After anything but a block the cursor stays where it was and may be asked again.
        """
        data = self._parts.pread(HEADER_BYTES, self.offset)
        if self.sealed:
            return self._damage(DamageKind.ALTERED, "there is data after the last seal") if data else None
        if len(data) < HEADER_BYTES or not any(data):
            return self._from_memory() or self._incomplete(data)
        try:
            header = Header.unpack(data)
        except TraceError as error:
            return self._damage(DamageKind.ALTERED, str(error))
        payload = self._read_payload(header)
        if len(payload) < header.payload_bytes:
            return self._from_memory() or self._torn(HEADER_BYTES + len(payload), header.block_bytes)
        return self._accept(header, payload, data)

    def _read_payload(self, header: Header) -> bytes:
        """The payload, or less of it when the file ends before; several reads only on odd file systems."""
        payload = b""
        while missing := header.payload_bytes - len(payload):
            start = self.offset + HEADER_BYTES + len(payload)
            more = self._parts.pread(missing, start)
            if not more:
                break
            payload = payload + more if payload else more
        return payload

    def _from_memory(self) -> Block | Damage | None:
        data = self._memory(self.sequence) if self._memory is not None else None
        if data is None:
            return None
        return self._accept(Header.unpack(data), data[HEADER_BYTES:], data[:HEADER_BYTES])

    def _accept(self, header: Header, payload: bytes, packed: bytes) -> Block | Damage:
        """The block, once its hash, its place in the chain and its sections are found right."""
        if block_hash(header, payload) != header.hash or header.pack() != packed:
            return self._damage(DamageKind.ALTERED, "the bytes of the block do not match its hash")
        if header.sequence != self.sequence:
            return self._damage(
                DamageKind.REORDERED, f"block {header.sequence} is where block {self.sequence} belongs"
            )
        if header.previous != self._previous:
            return self._damage(DamageKind.REORDERED, "the block does not follow the one before it")
        try:
            block = decode_block(header, payload, self.offset, self._decompressor)
        except TraceError as error:
            return self._damage(DamageKind.ALTERED, str(error))
        if self.ended and not block.is_seal:
            return self._damage(DamageKind.ALTERED, "there is data after the end record")
        self._advance(block)
        return unfolded(block) if block.offset == 0 and header.sequence else block

    def _advance(self, block: Block) -> None:
        self.offset += block.header.block_bytes
        self.sequence += 1
        self._previous = block.header.hash
        self.sealed = self.ended
        self.ended = self.ended or block.ends_trace

    def _incomplete(self, data: bytes) -> Damage | None:
        """What a header that is not all there means. Zeros are what a power failure leaves of a write."""
        if not data:
            return None
        if not any(data):
            return self._damage(DamageKind.TORN, "the block was never written: there are only zeros")
        if data[: len(MAGIC)] != MAGIC[: len(data)]:
            return self._damage(DamageKind.ALTERED, "no block begins here")
        return self._torn(len(data), HEADER_BYTES)

    def _torn(self, there_bytes: int, needed_bytes: int) -> Damage:
        return self._damage(
            DamageKind.TORN, f"the block ends after {there_bytes} of at least {needed_bytes} bytes"
        )

    def _damage(self, kind: DamageKind, message: str) -> Damage:
        return Damage(kind, self.sequence, self.offset, message)


class TraceFile:
    """A trace open for reading; a context manager. Raises TraceError when it is none of ours."""

    def __init__(self, path: Path) -> None:
        self._parts = Parts(path)

    @property
    def size_bytes(self) -> int:
        """Of all its parts."""
        return self._parts.size_bytes

    @property
    def first_block(self) -> int:
        """The number of the block it begins with: not 0 when its first parts were removed."""
        return self._parts.first.sequence

    def is_live(self) -> bool:
        """Whether it is still written."""
        return self._parts.is_live()

    def cursor(self, place: Place | None = None) -> Cursor:
        """At the first block, or where another one was."""
        return Cursor(self._parts, place=place)

    def close(self) -> None:
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Reader(TraceFile):
    """A recorded trace: iterate it for its intact blocks, then ask `damage` why it stopped.

    Iterating again starts again. Raises TraceError when the file is not a trace or has no session record.
    """

    def __init__(self, path: Path) -> None:
        self.damage: Damage | None = None
        self.ended = False  # the end record was reached: nothing was cut off
        self.read_bytes = 0  # of the file, up to the block handed out last
        super().__init__(path)
        try:
            self._session = self._read_session(path)
        except BaseException:
            self.close()
            raise

    @property
    def session(self) -> dict[str, Any]:
        """The session record: the first context record of the first block."""
        return self._session

    def bytes_of(self, block: Block) -> bytes:
        """As they are in the file."""
        return self._parts.pread(block.header.block_bytes, block.offset)

    def __iter__(self) -> Iterator[Block]:
        cursor = self.cursor()
        self.damage, self.ended, self.read_bytes = None, False, 0
        while isinstance(result := cursor.next(), Block):
            self.ended, self.read_bytes = cursor.ended, cursor.offset
            yield result
        self.damage = result

    def _read_session(self, path: Path) -> dict[str, Any]:
        first = self.cursor().next()
        if not isinstance(first, Block):
            reason = first.message if first else "the file is empty"
            raise TraceError(f"nothing in the trace {printable(str(path))} can be read: {reason}")
        if not first.context or first.context[0]["type"] != "session":
            raise TraceError(f"the trace {printable(str(path))} does not begin with a session record")
        return first.context[0]
