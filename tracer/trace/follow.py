"""Following a trace that still grows: the live pipeline and the TUI are both readers of this kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tracer.trace.blocks import Block
from tracer.trace.read import Cursor, Damage, DamageKind, is_being_written, open_trace_file

POLL_SECONDS = 0.5  # how long the writer's death may go unnoticed when `wait` is not woken


class Follower:
    """Iterate it for the blocks of a growing trace as they become complete.

    It ends after the block with the end record (`finished`), when the writer is gone without one (`cut`), at
    a block that was altered (`damage`), or after `stop`. `wait(timeout_seconds)` returns when something may
    have been appended: in the engine an Event the writer sets, elsewhere a pause. `memory` is the writer's
    `pending_block` when both are in one process: so judging goes on while the disk is full.

    Raises TraceError when the file is not a trace.
    """

    def __init__(
        self,
        path: Path,
        *,
        wait: Callable[[float], object],
        memory: Callable[[int], bytes | None] | None = None,
    ) -> None:
        self.finished = False
        self.cut = False
        self.damage: Damage | None = None
        self._descriptor = open_trace_file(path)
        self._cursor = Cursor(self._descriptor, memory)
        self._wait = wait
        self._stopped = False

    @property
    def lag_bytes(self) -> int:
        """What is on disk and was not yielded yet."""
        return max(0, os.fstat(self._descriptor).st_size - self._cursor.offset)

    def stop(self) -> None:
        """End the iteration at its next wait; may be called from any thread."""
        self._stopped = True

    def __iter__(self) -> Iterator[Block]:
        while (block := self._await_block()) is not None:
            self.finished = self._cursor.ended
            yield block
            if self.finished:
                return

    def _await_block(self) -> Block | None:
        """The next block, waiting for it as long as there is a writer; None when none will come."""
        writer_gone = False
        suspect: Damage | None = None
        while not self._stopped:
            result = self._cursor.next()
            if isinstance(result, Block):
                return result
            altered = result is not None and result.kind is not DamageKind.TORN
            if writer_gone or (altered and result == suspect):
                self.damage, self.cut = result, writer_gone
                return None
            # What was written before the lock was let go must be read before giving up: hence once more.
            suspect = result if altered else None
            writer_gone = not is_being_written(self._descriptor)
            if not writer_gone or self._cursor.offset == 0:  # a file just created may not be locked yet
                self._wait(POLL_SECONDS)
        return None

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
