"""The files of a trace, read as one row of bytes: a trace that is rotated goes on in another file.

`NAME` is the oldest that is kept, the next are `NAME.2`, `NAME.3` and so on; when the oldest is removed, the
next takes its name. A part begins with a block, and the chain goes on over it: sequence and hash are those
that follow. Its first record is of type "part" and holds what a reader must know who has only this part and
those after it: the session record, and the context records that last.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard

from tracer.errors import TraceError
from tracer.text import printable
from tracer.trace.blocks import HEADER_BYTES, MAGIC, NO_HASH, VERSION, Block, Header, block_hash, decode_block

_SECOND = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Between two blocks: where the next one begins, in bytes, its number, and the hash of the one before."""

    offset: int = 0
    sequence: int = 0
    previous: bytes = NO_HASH


@dataclass(frozen=True, slots=True)
class _Part:
    descriptor: int
    number: int  # from 1 on
    start: int  # in the row of all


def part_path(trace: Path, number: int) -> Path:
    return trace.with_name(f"{trace.name}.{number}")


class Parts:
    """Opens the parts as they are needed; others may be added meanwhile, and the oldest removed.

    `first` is where the row begins: not at block 0, when parts were removed. Raises TraceError when `path`
    cannot be read or is no trace we know.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor = open_trace_file(path)
        self.first, number = _beginning(descriptor)
        self._parts = [_Part(descriptor, number, 0)]
        self._files = {_file(descriptor)}

    @property
    def size_bytes(self) -> int:
        self._extend_all()
        last = self._parts[-1]
        return last.start + os.fstat(last.descriptor).st_size

    def is_live(self) -> bool:
        """Whether it is still written: the writer holds the lock of the last part."""
        self._extend_all()
        return is_being_written(self._parts[-1].descriptor)

    def facts(self) -> list[os.stat_result]:
        """Of each file, the oldest first."""
        self._extend_all()
        return [os.fstat(each.descriptor) for each in self._parts]

    def pread(self, size: int, offset: int) -> bytes:
        """As pread(2); what is read lies in one part, as a block does."""
        part = next(each for each in reversed(self._parts) if each.start <= offset)
        while True:
            data = os.pread(part.descriptor, size, offset - part.start)
            if data or part is not self._parts[-1] or not self._extend():
                return data
            if self._parts[-1].start != offset:  # it grew before it was left
                continue
            part = self._parts[-1]

    def close(self) -> None:
        for part in self._parts:
            os.close(part.descriptor)
        self._parts = self._parts[:0]

    def _extend_all(self) -> None:
        while self._extend():
            pass

    def _extend(self) -> bool:
        """Open the next part, when there is one. It is there only when this one is complete."""
        last = self._parts[-1]
        number = last.number + 1
        descriptor = _opened(part_path(self._path, number))
        if descriptor is None:
            if _file(self._path) in self._files:  # the oldest is one of those that are open
                return False
            descriptor = _opened(self._path)  # the next one, if it is the oldest by now
            if descriptor is None:
                return False
            _first, number = _beginning(descriptor)
            if number <= last.number:
                os.close(descriptor)
                return False
        self._parts.append(_Part(descriptor, number, last.start + os.fstat(last.descriptor).st_size))
        self._files.add(_file(descriptor))
        return True


def _file(which: int | Path) -> tuple[int, int] | None:
    """What tells a file from any other while it is open; None when there is none."""
    try:
        facts = os.stat(which)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _opened(path: Path) -> int | None:
    try:
        return open_trace_file(path)
    except TraceError:
        return None


def _beginning(descriptor: int) -> tuple[Place, int]:
    """Where a file begins in the chain, and which part it is.

    What is no sound part counts as the first: whoever reads on will say what is wrong.
    """
    data = os.pread(descriptor, HEADER_BYTES, 0)
    try:
        header = Header.unpack(data)
        payload = os.pread(descriptor, header.payload_bytes, HEADER_BYTES) if header.sequence else b""
        if not payload or block_hash(header, payload) != header.hash:
            return Place(), 1
        (first, *_rest) = decode_block(header, payload, 0, zstandard.ZstdDecompressor()).context
    except (TraceError, ValueError, struct.error):
        return Place(), 1
    number = first.get("number")
    if first["type"] != "part" or not isinstance(number, int) or number < _SECOND:
        return Place(), 1
    return Place(0, header.sequence, header.previous), number


def part_record(number: int, session: Mapping[str, Any], lasting: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {"type": "part", "number": number, "session": dict(session), "context": lasting}


def unfolded(block: Block) -> Block:
    """The first block of a row that begins with a later part, as if the session began there."""
    part, *rest = block.context or ({},)
    session, lasting = part.get("session"), part.get("context")
    if part.get("type") != "part" or not isinstance(session, dict) or not isinstance(lasting, list):
        return block
    known = [each for each in lasting if isinstance(each, dict) and isinstance(each.get("type"), str)]
    return replace(block, context=({**session, "type": "session"}, *known, *rest))


def open_trace_file(path: Path) -> int:
    """A descriptor for reading. Raises TraceError when `path` cannot be read or is no trace we know."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise TraceError(f"cannot read the trace {printable(str(path))}: {error.strerror}") from None
    try:
        _check_is_trace(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_is_trace(descriptor: int, path: Path) -> None:
    """Raise TraceError unless the file begins as a trace does, be it cut off within its first bytes."""
    name = printable(str(path))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise TraceError(f"{name} is not a trace: it is not a regular file")
    start = os.pread(descriptor, len(MAGIC) + 2, 0)
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise TraceError(f"{name} is not a trace")
    if len(start) == len(MAGIC) + 2:
        version = struct.unpack_from("<H", start, len(MAGIC))[0]
        if version != VERSION:
            raise TraceError(
                f"{name} has trace format {version}, this version of Rubicon reads format {VERSION}"
            )


def is_being_written(descriptor: int) -> bool:
    """Whether a writer holds the exclusive lock of the trace open at `descriptor` (flock(2))."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
