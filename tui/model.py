"""Aggregation: batches in, at any rate and from any thread; frozen snapshots out, at the screen's rate.

Memory is bounded whatever comes in: the newest events, the newest groups of violations, a limited tree.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from tracer.events import Event, Exec, Level, Taken, Violation
from tui.feed import Batch
from tui.filter import Filter
from tui.forest import Forest
from tui.snapshot import Losses, Session, Snapshot, State, Summary, Verdict, ViolationGroup

K = TypeVar("K")

MAX_EVENTS = 10_000
MAX_ARGS_BYTES = 32 * 2**20  # of the arguments of those events: one may have 128 KiB of them
MAX_GROUPS = 1_000
RATE_SECONDS = 2.0


class Rate:
    """Events a second, over the last two seconds of `clock` (monotonic, in seconds)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def measure(self, total: int) -> int:
        now = self._clock()
        self._samples.append((now, total))
        while len(self._samples) > 2 and now - self._samples[1][0] >= RATE_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return round((total - before) / (now - then)) if now > then else 0


class Newest:
    """The newest events, bounded in number and in what their arguments take."""

    def __init__(self, max_events: int, max_args_bytes: int) -> None:
        self.events: deque[Event] = deque()
        self._max = max_events
        self._max_args_bytes = max_args_bytes
        self._args_bytes = 0

    def append(self, event: Event) -> None:
        self.events.append(event)
        self._args_bytes += _args_bytes(event)
        while len(self.events) > self._max or (
            self._args_bytes > self._max_args_bytes and len(self.events) > 1
        ):
            self._args_bytes -= _args_bytes(self.events.popleft())

    def clear(self) -> None:
        self.events.clear()
        self._args_bytes = 0


def _args_bytes(event: Event) -> int:
    """What an exec brings with it, about; the other events of a process share the arguments of its exec."""
    return sum(map(len, event.detail.args)) if isinstance(event.detail, Exec) else 0


class EventLog:
    """The newest events, those of them that pass the filter, and the level of those that broke a rule."""

    def __init__(self, max_events: int, max_args_bytes: int = MAX_ARGS_BYTES) -> None:
        self.total = 0
        self.filter = Filter()
        self._all = Newest(max_events, max_args_bytes)
        self._passed = Newest(max_events, max_args_bytes)
        self._levels: dict[int, Level] = {}
        self._max = max_events
        self._events: tuple[Event, ...] = ()
        self._frozen_levels: MappingProxyType[int, Level] = MappingProxyType({})
        self._events_changed = self._levels_changed = False

    def add(self, events: Iterable[Event]) -> None:
        before = self.total
        for event in events:
            self._all.append(event)
            self.total += 1
            if self.filter and self.filter.passes_event(event):
                self._passed.append(event)
        self._events_changed |= self.total != before

    def flag(self, violation: Violation) -> None:
        sequence, level = violation.event.sequence, violation.rule.level
        known = self._levels.pop(sequence, level)
        self._levels[sequence] = max(known, level, key=lambda each: each.rank)
        if len(self._levels) > self._max:
            del self._levels[next(iter(self._levels))]
        self._levels_changed = True

    def set_filter(self, chosen: Filter) -> None:
        self.filter = chosen
        self._passed.clear()
        if chosen:
            for event in self._all.events:
                if chosen.passes_event(event):
                    self._passed.append(event)
        self._events_changed = True

    def events(self) -> tuple[Event, ...]:
        if self._events_changed:
            self._events = tuple((self._passed if self.filter else self._all).events)
            self._events_changed = False
        return self._events

    def levels(self) -> MappingProxyType[int, Level]:
        if self._levels_changed:
            self._frozen_levels = MappingProxyType(dict(self._levels))
            self._levels_changed = False
        return self._frozen_levels


class ViolationLog:
    """Violations grouped by rule, process and words; the group that grew last is the newest."""

    def __init__(self, max_groups: int) -> None:
        self.counts: Counter[Level] = Counter()
        self._max = max_groups
        self._groups: dict[tuple[str, str, str], ViolationGroup] = {}
        self._by_event: dict[tuple[int, str], tuple[str, str, str]] = {}
        self._early: dict[tuple[int, str], Taken] = {}
        self._filter = Filter()
        self._frozen: tuple[ViolationGroup, ...] = ()
        self._changed = False

    def add(self, violation: Violation) -> None:
        event = violation.event
        key = (violation.rule.id, event.process.entity_id, violation.summary)
        known = self._groups.pop(key, None)
        count, first_ns = (known.count, known.first_ns) if known else (0, event.time_ns)
        taken = self._early.pop((event.sequence, violation.rule.id), known.taken if known else None)
        self._groups[key] = ViolationGroup(violation, count + 1, first_ns, event.time_ns, taken)
        self._by_event[event.sequence, violation.rule.id] = key
        _forget_oldest(self._by_event, self._max)
        if len(self._groups) > self._max:
            del self._groups[next(iter(self._groups))]
        self.counts[violation.rule.level] += 1
        self._changed = True

    def act(self, taken: Taken) -> None:
        """What was done about a violation, which may be told before the violation itself is."""
        if taken.rule is None or not taken.event:
            return
        place = taken.event, taken.rule.id
        group = self._groups.get(self._by_event.get(place, ("", "", "")))
        if group is None:
            self._early[place] = taken
            _forget_oldest(self._early, self._max)
            return
        self._groups[self._by_event[place]] = replace(group, taken=taken)
        self._changed = True

    def set_filter(self, chosen: Filter) -> None:
        self._filter = chosen
        self._changed = True

    def groups(self) -> tuple[ViolationGroup, ...]:
        if self._changed:
            newest_first = reversed(self._groups.values())
            self._frozen = tuple(g for g in newest_first if self._filter.passes_violation(g.violation))
            self._changed = False
        return self._frozen


def _forget_oldest(known: dict[K, Any], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]


class Model:
    """All that is known of one session. `add` and `snapshot` may be called from different threads.

    `now_ns` is the wall clock since the Unix epoch, `clock` a monotonic one in seconds.
    """

    def __init__(
        self,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
        max_events: int = MAX_EVENTS,
        max_groups: int = MAX_GROUPS,
    ) -> None:
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self._session = Session()
        self._state = State.OPENING
        self._losses = Losses()
        self._missing = 0
        self._lag_bytes = 0
        self._notice = ""
        self._last_ns = 0
        self._filter_text = ""
        self._forest = Forest()
        self._events = EventLog(max_events)
        self._violations = ViolationLog(max_groups)
        self._rate = Rate(clock)

    def add(self, batch: Batch) -> None:
        with self._lock:
            self._add_state(batch)
            self._events.add(batch.events)
            for event in batch.events:
                self._forest.add_event(event)
            if batch.events:
                self._last_ns = max(self._last_ns, batch.events[-1].time_ns)
            for violation in batch.violations:
                self._add_violation(violation)
            for taken in batch.taken:
                self._violations.act(taken)

    def set_filter(self, text: str) -> None:
        """Show only the events and violations that pass; takes up to a tenth of a second."""
        with self._lock:
            self._filter_text = text
            chosen = Filter.parse(text)
            self._events.set_filter(chosen)
            self._violations.set_filter(chosen)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(
                summary=self._summary(),
                processes=self._forest.rows(),
                folded=self._forest.folded,
                violations=self._violations.groups(),
                events=self._events.events(),
                levels=self._events.levels(),
                filter=self._filter_text,
            )

    def _add_state(self, batch: Batch) -> None:
        self._lag_bytes = batch.lag_bytes
        self._losses = batch.losses or self._losses
        self._missing = self._missing if batch.missing is None else batch.missing
        self._session = batch.session or self._session
        self._state = batch.state or self._state
        if batch.notices:
            self._notice = batch.notices[-1]

    def _add_violation(self, violation: Violation) -> None:
        self._violations.add(violation)
        self._events.flag(violation)
        self._forest.add_violation(violation)

    def _summary(self) -> Summary:
        counts = {level: self._violations.counts[level] for level in reversed(Level)}
        total = self._events.total
        return Summary(
            session=self._session,
            state=self._state,
            verdict=self._verdict(),
            duration_ns=self._duration_ns(),
            events=total,
            events_per_s=self._events_per_s(total),
            processes=self._forest.seen,
            violations=MappingProxyType({level: count for level, count in counts.items() if count}),
            losses=self._losses,
            lag_bytes=self._lag_bytes,
            notice=self._notice,
        )

    def _verdict(self) -> Verdict:
        if self._violations.counts.total():
            return Verdict.VIOLATED
        unseen = self._losses.total or self._missing or self._state in {State.CUT, State.DAMAGED}
        return Verdict.INCOMPLETE if unseen else Verdict.CLEAN

    def _events_per_s(self, total: int) -> int:
        """Now, of a session that runs; on average, of one that is over."""
        now = self._rate.measure(total)
        duration_ns = self._duration_ns()
        if self._state in {State.OPENING, State.LIVE} or not duration_ns:
            return now
        return round(total * 1_000_000_000 / duration_ns)

    def _duration_ns(self) -> int:
        if not self._session.started_ns:
            return 0
        end_ns = self._now_ns() if self._state is State.LIVE else self._last_ns
        return max(0, end_ns - self._session.started_ns)
