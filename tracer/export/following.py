"""A trace that still grows, as the exports read a recorded one: it ends when the session does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracer.events import Taken
from tracer.pipeline import Judged, RecordedPipeline, failed_judgements
from tracer.rulings import actions_in
from tracer.trace import Block, Damage, Follower, Reader, read_correlated

POLL_SECONDS = 0.1  # how late an event may come when nobody wakes us


class FollowedTrace:
    """What `tracer.pipeline.RecordedTrace` is of a whole file; `idle` is called when there is nothing more
    now.

    Raises TraceError when it is no trace, AbiMismatch when its records are of another version.
    """

    def __init__(self, path: Path, *, idle: Callable[[], object] = lambda: None) -> None:
        self.losses = {"critical": 0, "bulk": 0}
        self._failed = 0
        self._taken: deque[Taken] = deque()
        self._idle = idle
        self._stopped = threading.Event()
        with Reader(path) as reader:
            self.session: dict[str, Any] = reader.session
        self._pipeline = RecordedPipeline(self.session, steps=read_correlated(path, self.session))
        self._follower = Follower(path, wait=self._wait)

    @property
    def damage(self) -> Damage | None:
        return self._follower.damage

    @property
    def ended(self) -> bool:
        return self._follower.finished

    @property
    def unjudged(self) -> int:
        return self._pipeline.unjudged + self._failed

    @property
    def bad_records(self) -> int:
        return self._pipeline.bad_records

    @property
    def progress(self) -> tuple[int, int]:
        size = self._follower.size_bytes
        return size - self._follower.lag_bytes, size

    def stop(self) -> None:
        """Read what is there and end; from any thread."""
        self._stopped.set()
        self._follower.stop()

    def items(self) -> Iterator[Judged]:
        """Once: the events, as soon as their verdicts are there."""
        for block in self._follower:
            self._take(block)
            yield from self._pipeline.push(block)
        yield from self._pipeline.finish()

    def take_actions(self) -> Iterator[Taken]:
        """The actions that came up since this was asked last."""
        while self._taken:
            yield self._taken.popleft()

    def close(self) -> None:
        self._follower.close()

    def _take(self, block: Block) -> None:
        self.losses = {"critical": block.header.lost_critical, "bulk": block.header.lost_bulk}
        self._taken.extend(actions_in(block.context))
        self._failed += sum(map(failed_judgements, block.context))

    def _wait(self, timeout_seconds: float) -> None:
        self._idle()
        self._stopped.wait(min(timeout_seconds, POLL_SECONDS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
