"""Following a trace that still grows: the live pipeline and the TUI are both readers of this kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tracer.trace.blocks import Block
from tracer.trace.parts import Place
from tracer.trace.read import Cursor, Damage, DamageKind, TraceFile

POLL_SECONDS = 0.5  # how long the writer's death may go unnoticed when `wait` is not woken


class Follower(TraceFile):
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
        super().__init__(path)
        self._cursor = Cursor(self._parts, memory)
        self._wait = wait
        self._stopped = False

    @property
    def lag_bytes(self) -> int:
        """What is on disk and was not yielded yet."""
        return max(0, self.size_bytes - self._cursor.offset)

    @property
    def place(self) -> Place:
        """After the block that was yielded last."""
        return self._cursor.place

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
            writer_gone = not self.is_live()
            if not writer_gone or self._cursor.offset == 0:  # a file just created may not be locked yet
                self._wait(POLL_SECONDS)
        return None
