"""A finished trace, played again: at its own pace, faster, step by step, or up to a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tracer.events import Event
from tui.feed import Batch, Source
from tui.snapshot import Pace, Replay

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TICK_SECONDS = 0.05  # how often what is due is handed on
MAX_BATCH = 256


class Player:
    """A source with a clock of its own. The controls may be called from any thread.

    `recorded` is the trace as it is read at full speed; `start_ns` is where to go first, as fast as it can.
    `clock` is monotonic, in seconds.
    """

    def __init__(
        self, recorded: Source, *, start_ns: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recorded = recorded
        self._clock = clock
        self._changed = threading.Condition()
        self._stopped = False
        self._pace = Pace.SEEKING if start_ns else Pace.PLAYING
        self._after = Pace.PLAYING  # what seeking turns into
        self._target_ns: int | None = start_ns or None  # None: the next violation
        self._steps = 0
        self._speed = 1.0
        self._now_ns = 0  # of the replay, at `_set_at` of the clock
        self._set_at = clock()

    # Controls

    def stop(self) -> None:
        self._recorded.stop()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def toggle(self) -> None:
        with self._changed:
            self._set(Pace.PAUSED if self._pace is not Pace.PAUSED else Pace.PLAYING)

    def step(self) -> None:
        """The next event, and then stand still."""
        with self._changed:
            self._steps += 1
            self._set(Pace.PAUSED)

    def faster(self, by: int) -> None:
        """`by` steps on the scale of speeds; less than none is slower."""
        with self._changed:
            at = SPEEDS.index(self._speed) + by
            self._now_ns, self._set_at = self._time_ns(), self._clock()
            self._speed = SPEEDS[max(0, min(at, len(SPEEDS) - 1))]
            self._changed.notify_all()

    def next_violation(self) -> None:
        """As fast as it can up to the next event that broke a rule, and stand still there."""
        with self._changed:
            self._target_ns, self._after = None, Pace.PAUSED
            self._set(Pace.SEEKING)

    def seek(self, time_ns: int) -> None:
        """Forward to a moment; it plays on, or stands still, as before."""
        with self._changed:
            if self._pace is not Pace.SEEKING:
                self._after = self._pace
            self._target_ns = time_ns
            self._set(Pace.SEEKING)

    @property
    def state(self) -> Replay:
        with self._changed:
            return Replay(self._pace, self._speed, self._time_ns())

    def _set(self, pace: Pace) -> None:
        if self._pace is not Pace.ENDED:
            self._now_ns, self._set_at = self._time_ns(), self._clock()
            self._pace = pace
        self._changed.notify_all()

    def _time_ns(self) -> int:
        if self._pace is not Pace.PLAYING or not self._now_ns:
            return self._now_ns
        return self._now_ns + round((self._clock() - self._set_at) * self._speed * 1e9)

    # Playing

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._recorded:
            yield from self._play(batch)
            if self._stopped:
                return
        with self._changed:
            self._set(Pace.ENDED)
        yield Batch(replay=self.state)

    def _play(self, batch: Batch) -> Iterator[Batch]:
        """The events when they are due, each with its violations; all else at once."""
        broken = {violation.event.sequence for violation in batch.violations}
        ready: list[Event] = []
        told = replace(batch, events=(), violations=())
        yield replace(told, replay=self.state, progress=None)
        for event in batch.events:
            while not self._is_due(event, event.sequence in broken):
                if ready:
                    yield self._batch(ready, batch)
                    ready = []
                yield Batch(replay=self.state, lag_bytes=batch.lag_bytes)
                if not self._wait():
                    return
            ready.append(event)
            if len(ready) >= MAX_BATCH:
                yield self._batch(ready, batch)
                ready = []
        if ready:
            yield self._batch(ready, batch)

    def _batch(self, events: list[Event], batch: Batch) -> Batch:
        numbers = {event.sequence for event in events}
        return Batch(
            events=tuple(events),
            violations=tuple(each for each in batch.violations if each.event.sequence in numbers),
            lag_bytes=batch.lag_bytes,
            replay=self.state,
        )

    def _is_due(self, event: Event, breaks_rule: bool) -> bool:
        with self._changed:
            if not self._now_ns:
                self._now_ns, self._set_at = event.time_ns, self._clock()
            if self._pace is Pace.SEEKING:
                return self._passes(event, breaks_rule)
            if self._pace is Pace.PAUSED:
                if not self._steps:
                    return False
                self._steps -= 1
                self._now_ns = max(self._now_ns, event.time_ns)
                return True
            return event.time_ns <= self._time_ns()

    def _passes(self, event: Event, breaks_rule: bool) -> bool:
        """While seeking: everything up to the target, and of a violation that is looked for itself, too."""
        if self._target_ns is None:
            if breaks_rule:
                self._now_ns = event.time_ns
                self._set(self._after)
                return True
        elif event.time_ns > self._target_ns:
            self._now_ns = self._target_ns
            self._set(self._after)
            return False
        self._now_ns = max(self._now_ns, event.time_ns)
        return True

    def _wait(self) -> bool:
        """A moment, or until a control is touched; false when it is all over."""
        with self._changed:
            if not self._stopped:
                self._changed.wait(TICK_SECONDS)
            return not self._stopped
