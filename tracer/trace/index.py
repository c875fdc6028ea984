"""What a reader made of a finished trace, kept in a file so that the next one need not read all of it again.

    FILE, in `.index` of the folder of sessions
    ========  ==================================================================
    line 1    ``RBCX``, the format, and where the table is: JSON
    blobs     zstd, with a checksum
    table     JSON: the trace it is about, and each blob's name, place and length
    ========  ==================================================================

An index is believed, so it must not come from whoever made the trace: it is not beside the trace but in a
folder that is this user's own, which who is watched may not touch (`tracer.rules.protection`). It is taken
only for the very file it was made from, unchanged since (device, inode, size, times of change), whose last
block has the hash it had. Anything else, or another version of Rubicon, and it is made anew. It can be thrown
away at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zstandard

from tracer.trace.blocks import HEADER_BYTES, Header
from tracer.trace.correlated import correlated_path
from tracer.trace.parts import Parts
from tracer.trace.store import default_folder

FORMAT = 1
MAX_INDEXES = 24  # kept; the oldest go first
MAX_BLOB_BYTES = 2**30
_HEAD_BYTES = 256
_SUFFIX = ".index"


def index_folder() -> Path:
    return default_folder() / ".index"


def index_path(trace: Path, folder: Path | None = None) -> Path:
    name = hashlib.sha256(os.fsencode(trace.resolve())).hexdigest()[:32]
    return (folder or index_folder()) / f"{name}{_SUFFIX}"


def _about(trace: Path, last_block: int) -> dict[str, Any]:
    """What tells this trace, as it is now, from any other: its files, and what was found out about it later.

    `last_block` is where that begins, in bytes, be it that a seal follows.
    """
    parts = Parts(trace)
    try:
        files = [_identity(each) for each in parts.facts()]
        last = Header.unpack(parts.pread(HEADER_BYTES, last_block))
    finally:
        parts.close()
    with suppress(FileNotFoundError):
        files.append(_identity(correlated_path(trace).stat()))
    return {"files": files, "last_block": last_block, "hash": last.hash.hex()}


def _identity(facts: os.stat_result) -> list[int]:
    return [facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


class IndexWriter:
    """A new index of `trace`. Nothing of it is to be seen before `finish`; `discard` it otherwise.

    `code` tells the programs that understand what is in it.
    Raises OSError when there is no room for it.
    """

    def __init__(self, trace: Path, code: str, folder: Path | None = None) -> None:
        self._code = code
        self._trace = trace
        self._path = index_path(trace, folder)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, self._name = tempfile.mkstemp(dir=self._path.parent, prefix=".new-")  # of mode 0600
        self._file = open(descriptor, "wb")  # noqa: SIM115  closed by `finish` or `discard`
        self._file.write(bytes(_HEAD_BYTES))
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._table: dict[str, tuple[int, int]] = {}

    def add(self, name: str, data: bytes) -> int:
        """How many bytes it took."""
        packed = self._compressor.compress(data)
        self._table[name] = self._file.tell(), len(packed)
        self._file.write(packed)
        return len(packed)

    def finish(self, last_block: int) -> None:
        """`last_block` is where the last block of the trace begins. Raises OSError, TraceError."""
        start = self._file.tell()
        self._file.write(
            json.dumps({"trace": _about(self._trace, last_block), "blobs": self._table}).encode()
        )
        head = json.dumps({"format": FORMAT, "code": self._code, "table": [start, self._file.tell() - start]})
        self._file.seek(0)
        self._file.write(f"RBCX{head}".ljust(_HEAD_BYTES - 1).encode() + b"\n")
        self._file.close()
        os.replace(self._name, self._path)
        _forget_oldest(self._path.parent)

    def discard(self) -> None:
        self._file.close()
        with suppress(OSError):
            os.unlink(self._name)


def _forget_oldest(folder: Path) -> None:
    with suppress(OSError):
        found = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        for path in found[:-MAX_INDEXES]:
            path.unlink()


class Index:
    """An index that was found good; a context manager."""

    def __init__(self, descriptor: int, blobs: Mapping[str, tuple[int, int]]) -> None:
        self._descriptor = descriptor
        self._blobs = blobs

    def blob(self, name: str) -> bytes:
        """Raises KeyError, ValueError or ZstdError when it is not there or not whole."""
        start, length = self._blobs[name]
        packed = os.pread(self._descriptor, length, start)
        if zstandard.frame_content_size(packed) > MAX_BLOB_BYTES:
            raise ValueError(f"{name} is too large")
        return zstandard.ZstdDecompressor().decompress(packed)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_index(trace: Path, code: str, folder: Path | None = None) -> Index | None:
    """None when there is none of this trace as it is now, or it may be somebody else's work."""
    path = index_path(trace, folder)
    try:
        if not _is_private(os.stat(path.parent)):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _opened(descriptor, trace, code)
    except Exception:  # noqa: BLE001  whatever is wrong with it, it is not to be used
        os.close(descriptor)
        return None


def _opened(descriptor: int, trace: Path, code: str) -> Index:
    if not _is_private(os.fstat(descriptor)):
        raise ValueError("others may write to it")
    head = os.pread(descriptor, _HEAD_BYTES, 0)
    if not head.startswith(b"RBCX"):
        raise ValueError("not an index")
    facts = json.loads(head[4:])
    if (facts["format"], facts["code"]) != (FORMAT, code):
        raise ValueError("an index of another format, or by another version of Rubicon")
    start, length = facts["table"]
    table = json.loads(os.pread(descriptor, length, start))
    if table["trace"] != _about(trace, table["trace"]["last_block"]):
        raise ValueError("the trace is another one by now")
    return Index(descriptor, table["blobs"])


def _is_private(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
