"""Writing a trace: appended blocks, chained by hash, that a full disk delays but does not spoil."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zstandard

from tracer.records import EMPTY, Section
from tracer.trace.blocks import (
    MAX_CONTEXT_BYTES,
    MAX_RAW_BYTES,
    NO_HASH,
    Header,
    encode_block,
    encode_context,
)
from tracer.trace.rotate import Rotator, created, let_go
from tracer.trace.seal import Sealer

MEMORY_LIMIT_BYTES = 64 * 2**20
ZSTD_LEVEL = 1

# The disk has no room or does not work now; any other failure is a mistake of ours and is raised.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


class WriterState(StrEnum):
    OK = "ok"  # every block is on disk
    MEMORY = "memory"  # the disk takes nothing; blocks wait in memory
    DROPPING = "dropping"  # nor is there room in memory: new blocks are dropped and counted


@dataclass(slots=True)
class _Dropped:
    """Records that no block holds: by section, since the last block that said so."""

    context: int = 0
    critical: int = 0
    bulk: int = 0

    def __bool__(self) -> bool:
        return bool(self.context or self.critical or self.bulk)

    def notice(self) -> dict[str, Any]:
        return {
            "type": "notice",
            "code": "dropped",
            "message": f"the disk was full: {self.critical} critical and {self.bulk} bulk kernel records and "
            f"{self.context} context records were dropped",
            "critical": self.critical,
            "bulk": self.bulk,
            "context": self.context,
        }


class Writer:
    """The one writer of a new trace. All methods may be called from any thread.

    `path` must not exist (a link, even a dangling one, counts as existing). The file has mode 0600 and is
    locked until `close`, or until the process dies. `on_append()` is called after blocks reached the disk or
    the memory kept for them; `on_state(state)` when the state changes; both without the lock held, on the
    thread that caused it. With a `sealer` the head of the chain is signed now and then, and at the end. With
    a `rotator` the trace goes on in other files.

    Raises TraceError when the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        *,
        sealer: Sealer | None = None,
        rotator: Rotator | None = None,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        on_append: Callable[[], object] = lambda: None,
        on_state: Callable[[WriterState], object] = lambda _: None,
    ) -> None:
        self.path = path
        self.state = WriterState.OK
        self.pending_bytes = 0  # encoded blocks that wait in memory
        self.dropped_records = 0  # of all sections, since the start
        self._sealer = sealer
        self._rotator = rotator
        self._memory_limit_bytes = memory_limit_bytes
        self._on_append = on_append
        self._on_state = on_state
        self._lock = threading.Lock()
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self._pending: deque[bytes] = deque()
        self._sequence = 0  # of the next block
        self._previous = NO_HASH
        self._end_bytes = 0  # length of the file up to its last whole block
        self._lost = (0, 0)  # as given by the caller: critical, bulk
        self._dropped = (0, 0)  # by us, since the start: critical, bulk
        self._unreported = _Dropped()
        self._complete = False
        self._descriptor = created(path)

    def append(
        self,
        context: Sequence[Mapping[str, Any]] = (),
        critical: Section = EMPTY,
        bulk: Section = EMPTY,
        lost_critical: int = 0,
        lost_bulk: int = 0,
    ) -> None:
        """Add one block. Nothing is written when there is nothing to say.

        `lost_*` are the session's cumulative losses; who does not know them leaves them out.
        Raises ValueError for more than `MAX_RAW_BYTES` in all or `MAX_CONTEXT_BYTES` of context, and when
        closed.
        """
        with self._lock:
            self._check_open()
            before = self.state
            lost = (max(self._lost[0], lost_critical), max(self._lost[1], lost_bulk))
            if not (context or critical.data or bulk.data) and lost == self._lost:
                return
            self._lost = lost
            self._write_pending()
            self._rotate()
            self._add([*self._seal(due=False), *context], critical, bulk)
            after = self.state
        self._tell(before, after)

    def flush(self) -> bool:
        """Try again to put on disk what waits in memory; true when nothing waits any more."""
        with self._lock:
            self._check_open()
            before = self.state
            self._settle()
            after = self.state
        self._tell(before, after)
        return after is WriterState.OK

    def close(self) -> bool:
        """Flush, seal, sync and let go of the file; true when everything appended is safely on disk."""
        with self._lock:
            if self._descriptor < 0:
                return self._complete
            self._settle()
            if last := self._seal(due=True):
                self._add(last, EMPTY, EMPTY)
            synced = _sync(self._descriptor)
            let_go(self._descriptor)
            self._descriptor = -1
            if self._rotator:
                self._rotator.finish()
        self._on_append()
        self._complete = synced and not self._pending and not self.dropped_records
        return self._complete

    def pending_block(self, sequence: int) -> bytes | None:
        """The encoded block of that number while it waits in memory; for a `Follower` in this process."""
        with self._lock:
            position = sequence - (self._sequence - len(self._pending))
            return self._pending[position] if 0 <= position < len(self._pending) else None

    def _rotate(self) -> None:
        """Go on in another file, when it is time and the disk lets us; the one before is sealed then.

        Until the new file has a block, readers wait at the end of the one before.
        """
        rotator = self._rotator
        if rotator is None or self._pending or not rotator.is_due(self._end_bytes):
            return
        if last := self._seal(due=True):
            self._add(last, EMPTY, EMPTY)
        if self._pending:
            return
        try:
            descriptor, part = rotator.begin()
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            return
        before, self._descriptor = (self._descriptor, self._end_bytes), descriptor
        self._end_bytes = 0
        if self._begin_part(rotator, part):
            let_go(before[0])
        else:
            self._descriptor, self._end_bytes = before
            let_go(descriptor)
            rotator.abandon()

    def _begin_part(self, rotator: Rotator, part: Mapping[str, Any]) -> bool:
        """The first block of a new file; false, and nothing has happened, when the disk does not take it."""
        header, block = self._encode([part], EMPTY, EMPTY)
        try:
            if not self._write_block(block):
                return False
            rotator.begun(self._sequence)
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            return False
        self._sequence += 1
        self._previous = header.hash
        return True

    def _seal(self, *, due: bool) -> list[dict[str, Any]]:
        """The seal of the block before, when it is time for one or `due`."""
        if self._sealer is None or not self._sequence or not (due or self._sealer.is_due()):
            return []
        return [self._sealer.seal(self._sequence - 1, self._previous)]

    def _settle(self) -> None:
        """Write what waits, and say what was dropped when no later block will."""
        self._write_pending()
        if self._unreported and not self._pending:
            self._add((), EMPTY, EMPTY)

    def _add(self, context: Sequence[Mapping[str, Any]], critical: Section, bulk: Section) -> None:
        """Encode a block and put it on disk, in memory, or nowhere: then the chain does not move on."""
        told = [self._unreported.notice(), *context] if self._unreported else context
        header, block = self._encode(told, critical, bulk)
        if self._pending and self.pending_bytes + len(block) > self._memory_limit_bytes:
            self._drop(len(context), critical.records, bulk.records)
            return
        self._sequence += 1
        self._previous = header.hash
        self._unreported = _Dropped()
        # The first block to fail is kept whatever its size: the bytes at a place in the file, once begun,
        # never change, so a follower that saw half a block finds the same block when it looks again.
        self._pending.append(block)
        self.pending_bytes += len(block)
        if len(self._pending) == 1:
            self._write_pending()

    def _encode(
        self, context: Sequence[Mapping[str, Any]], critical: Section, bulk: Section
    ) -> tuple[Header, bytes]:
        lines = encode_context(context)
        _check_size(lines, critical, bulk)
        times = [section for section in (critical, bulk) if section.records]
        header = Header(
            sequence=self._sequence,
            first_ns=min((section.first_ns for section in times), default=0),
            last_ns=max((section.last_ns for section in times), default=0),
            context_records=len(context),
            critical_records=critical.records,
            bulk_records=bulk.records,
            context_bytes=len(lines),
            critical_bytes=len(critical.data),
            bulk_bytes=len(bulk.data),
            lost_critical=self._lost[0] + self._dropped[0],
            lost_bulk=self._lost[1] + self._dropped[1],
            previous=self._previous,
        )
        return encode_block(header, lines, critical.data, bulk.data, self._compressor)

    def _drop(self, context: int, critical: int, bulk: int) -> None:
        self.state = WriterState.DROPPING
        self.dropped_records += context + critical + bulk
        self._dropped = (self._dropped[0] + critical, self._dropped[1] + bulk)
        self._unreported.context += context
        self._unreported.critical += critical
        self._unreported.bulk += bulk

    def _write_pending(self) -> None:
        """Write the waiting blocks in order, as many as the disk takes, and set the state."""
        while self._pending:
            if not self._write_block(self._pending[0]):
                if self.state is WriterState.OK:
                    self.state = WriterState.MEMORY
                return
            self.pending_bytes -= len(self._pending.popleft())
            self.state = WriterState.MEMORY if self._pending else WriterState.OK
        self.state = WriterState.OK

    def _write_block(self, block: bytes) -> bool:
        """Write one block after the last whole one; on a disk error take back what was written of it."""
        done = 0
        try:
            while done < len(block):  # one write, but for a disk that fills up in the middle of it
                done += os.pwrite(self._descriptor, memoryview(block)[done:], self._end_bytes + done)
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            with suppress(OSError):  # if it stays, the next try writes the same bytes over it
                os.ftruncate(self._descriptor, self._end_bytes)
            return False
        self._end_bytes += len(block)
        return True

    def _check_open(self) -> None:
        if self._descriptor < 0:
            raise ValueError("the trace is closed")

    def _tell(self, before: WriterState, after: WriterState) -> None:
        self._on_append()
        if after is not before:
            self._on_state(after)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sync(descriptor: int) -> bool:
    try:
        os.fdatasync(descriptor)
    except OSError:
        return False
    return True


def _check_size(context: bytes, critical: Section, bulk: Section) -> None:
    if len(context) > MAX_CONTEXT_BYTES:
        raise ValueError(f"{len(context)} bytes of context in one block, at most {MAX_CONTEXT_BYTES} fit")
    raw_bytes = len(context) + len(critical.data) + len(bulk.data)
    if raw_bytes > MAX_RAW_BYTES:
        raise ValueError(f"{raw_bytes} bytes in one block, at most {MAX_RAW_BYTES} fit")
