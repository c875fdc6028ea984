"""A finished trace from its index, at once; and the way to any moment of it.

The first time somebody looks at a finished trace it is read from its beginning, as a live one is, and can be
used meanwhile. What came of that is kept (`tracer.trace.index`): the model at the end, when rules were
broken, and at some places what the decoder knew there, so that events can be read on from them.
"""

from __future__ import annotations

import pickle
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from tracer.errors import RubiconError, TraceError
from tracer.events import Event, Violation
from tracer.frozen import code_fingerprint, freeze, thaw
from tracer.pipeline import RecordedPipeline
from tracer.trace import Block, Index, IndexWriter, Place, Reader, open_index, read_correlated
from tui.feed import Batch, Decoder, TraceSource
from tui.logs import Elsewhere
from tui.snapshot import State

MAX_MARKS = 256  # places that one can read on from
LEAST_MARK_BYTES = 512 * 1024  # of the trace between two of them
LEAST_ROOM_BYTES = 32 * 2**20  # for all of them; half of the trace's size comes to it
MAX_BROKEN = 2_000_000  # violations whose time is kept
BEFORE, AFTER = 2_000, 3_000  # events around a moment

Keep = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the trace: `sequence` and `time_ns` are of the newest event before it."""

    sequence: int
    time_ns: int
    place: Place


class IndexedSource:
    """What there is to show of a trace. One that is over comes out of its index, or makes one as it is read.

    `keep` gives the model that takes the batches, frozen (`Model.kept`).
    """

    def __init__(self, path: Path, keep: Keep) -> None:
        self.done = False  # all is handed out, and the index is there if it can be
        self._path = path
        self._keep = keep
        self._making: _Making | None = None
        self._read = TraceSource(path, after_block=self._after_block)

    def stop(self) -> None:
        self._read.stop()

    def __iter__(self) -> Iterator[Batch]:
        if not self._read.is_live():
            if (whole := read_whole(self._path)) is not None:
                self._read.close()
                yield Batch(whole=whole)
                self.done = True
                return
            with suppress(OSError):
                self._making = _Making(self._path, self._read.size_bytes)
        try:
            yield from self._all()
        finally:
            if self._making is not None:
                self._making.discard()
            self.done = True

    def _all(self) -> Iterator[Batch]:
        for batch in self._read:
            if self._making is None:
                yield batch
                continue
            self._making.see(batch)
            yield batch
            if batch.state in (State.FINISHED, State.CUT):  # the model has all of it by now
                self._making.finish(self._keep())

    def _after_block(self, place: Place, decoder: Decoder) -> None:
        if self._making is not None:
            self._making.after_block(place, decoder)


class _Making:
    """The index of a trace that is being read. What goes wrong with it does no harm to the reading."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._writer: IndexWriter | None = IndexWriter(path, code_fingerprint())
        self._size_bytes = size_bytes
        self._stride = max(LEAST_MARK_BYTES, size_bytes // MAX_MARKS)
        self._room = LEAST_ROOM_BYTES + size_bytes // 2  # for marks
        self._marks: list[tuple[int, int, tuple[Any, ...]]] = []
        self._broken = array("Q"), array("Q")  # numbers and times of events that broke a rule
        self._sequence = self._time_ns = 0
        self._last_block = self._end = 0

    def see(self, batch: Batch) -> None:
        if batch.events:
            self._sequence = batch.events[-1].sequence
            self._time_ns = max(self._time_ns, batch.events[-1].time_ns)
        numbers, times = self._broken
        for violation in batch.violations:
            if len(numbers) < MAX_BROKEN:
                numbers.append(violation.event.sequence)
                times.append(violation.event.time_ns)

    def after_block(self, place: Place, decoder: Decoder) -> None:
        self._last_block, self._end = self._end, place.offset
        at = self._marks[-1][2][0] if self._marks else 0
        if self._writer is not None and place.offset - at >= self._stride and self._sequence:
            try:
                taken = self._writer.add(f"mark {len(self._marks)}", freeze(decoder.kept()))
            except (OSError, pickle.PicklingError, RecursionError):
                self.discard()
                return
            self._marks.append((self._sequence, self._time_ns, astuple(place)))
            self._room -= taken
            to_come = max(0, self._size_bytes - place.offset)
            self._stride = max(self._stride, to_come * taken // max(1, self._room))

    def finish(self, model: bytes) -> None:
        if self._writer is None:
            return
        try:
            self._writer.add("marks", freeze(self._marks))
            self._writer.add("broken", freeze(self._broken))
            self._writer.add("model", model)
            self._writer.finish(self._last_block)
        except (OSError, RubiconError, pickle.PicklingError, RecursionError):
            self.discard()
        self._writer = None

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.discard()
            self._writer = None


def read_whole(path: Path) -> Mapping[str, Any] | None:
    """The parts of the model, out of the index; None when there is none that can be used."""
    index = open_index(path, code_fingerprint())
    if index is None:
        return None
    with index:
        try:
            whole: Mapping[str, Any] = thaw(index.blob("model"))
            return whole
        except Exception:  # noqa: BLE001  whatever is wrong with it, the trace itself is there
            return None


class Moments:
    """The way to any moment of a finished trace. Raises TraceError when it has no index (yet)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        index = open_index(path, code_fingerprint())
        if index is None:
            raise TraceError("only the newest events can be shown until all of the trace was read once")
        with index:
            try:
                self._marks = [
                    Mark(number, time, Place(*place)) for number, time, place in thaw(index.blob("marks"))
                ]
                self._numbers, self._times = thaw(index.blob("broken"))
            except Exception as error:  # noqa: BLE001  as above
                raise TraceError(f"the index of the trace cannot be read: {error!r}") from None

    def next_broken(self, sequence: int, direction: int) -> tuple[int, int] | None:
        """Number and time of the nearest event after (before) `sequence` that broke a rule."""
        if direction > 0:
            at = bisect_right(self._numbers, sequence)
            found = at if at < len(self._numbers) else None
        else:
            at = bisect_left(self._numbers, sequence) - 1
            found = at if at >= 0 else None
        return None if found is None else (self._numbers[found], self._times[found])

    def around(self, time_ns: int) -> Elsewhere:
        """The events around a moment, with what they broke."""
        before: deque[tuple[Event, tuple[Violation, ...]]] = deque(maxlen=BEFORE)
        after: list[tuple[Event, tuple[Violation, ...]]] = []
        for item in self._from(self._mark_before(time_ns)):
            if item[0].time_ns < time_ns and not after:
                before.append(item)
            else:
                after.append(item)
            if len(after) >= AFTER:
                break
        return (*before, *after)

    def _mark_before(self, time_ns: int) -> int:
        """The last one that has some events between it and the moment; -1 is the beginning."""
        at = bisect_left(self._marks, time_ns, key=lambda mark: mark.time_ns) - 1
        return at - 1 if at >= 0 and time_ns - self._marks[at].time_ns < 1_000_000_000 else at

    def _from(self, number: int) -> Iterator[tuple[Event, tuple[Violation, ...]]]:
        with Reader(self._path) as trace:
            pipeline = RecordedPipeline(trace.session, steps=read_correlated(self._path, trace.session))
            place: Place | None = None
            if number >= 0:
                place = self._marks[number].place
                pipeline.go_on(self._kept(number))
            cursor = trace.cursor(place)
            while isinstance(block := cursor.next(), Block):
                yield from pipeline.push(block)
            yield from pipeline.finish()

    def _kept(self, number: int) -> Mapping[str, Any]:
        index: Index | None = open_index(self._path, code_fingerprint())
        if index is None:
            raise TraceError("the index of the trace is gone")
        with index:
            kept: Mapping[str, Any] = thaw(index.blob(f"mark {number}"))
            return kept
