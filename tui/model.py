"""Aggregation: batches in, at any rate and from any thread; frozen snapshots out, at the screen's rate.

Memory is bounded whatever comes in: the newest events, the newest groups of violations, a limited tree, and
so on for each part.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from tracer.events import Event, Level, Violation
from tracer.frozen import freeze
from tracer.where import Where
from tui.around import Around
from tui.feed import Batch
from tui.forest import Forest
from tui.known import before
from tui.logs import Elsewhere, EventLog, Key, ViolationLog
from tui.minutes import Minutes
from tui.rates import Pulses
from tui.snapshot import (
    FileRow,
    Losses,
    Peer,
    Replay,
    Session,
    Snapshot,
    State,
    Summary,
    Timeline,
    Verdict,
    Vitals,
)
from tui.traffic import Traffic
from tui.written import Written

KEPT = (
    "_session", "_state", "_losses", "_missing", "_notice", "_last_ns", "_forest", "_events", "_violations",
    "_pulses", "_minutes", "_traffic", "_written",
)  # fmt: skip
MAX_EVENTS = 10_000
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


class Model:
    """All that is known of one session. `add` and `snapshot` may be called from different threads.

    `now_ns` is the wall clock since the Unix epoch, `clock` a monotonic one in seconds. `known` are the peers
    of sessions so far, as in `tui.known`.
    """

    def __init__(
        self,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
        max_events: int = MAX_EVENTS,
        max_groups: int = MAX_GROUPS,
        known: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self._known = known
        self._session = Session()
        self._state = State.OPENING
        self._losses = Losses()
        self._missing = 0
        self._lag_bytes = 0
        self._progress: float | None = None
        self._replay: Replay | None = None
        self._read_only = ""
        self._vitals: Mapping[str, Vitals] = MappingProxyType({})
        self._notice = ""
        self._last_ns = 0
        self._filter = Where()
        self._forest = Forest()
        self._around = Around()
        self._events = EventLog(max_events)
        self._violations = ViolationLog(max_groups)
        self._pulses = Pulses()
        self._minutes = Minutes()
        self._traffic = Traffic()
        self._written = Written()
        self._rate = Rate(clock)

    # In

    def add(self, batch: Batch) -> None:
        if batch.whole is not None:
            self.restore(batch.whole)
            return
        with self._lock:
            self._add_state(batch)
            broken: dict[int, list[Violation]] = {}
            for violation in batch.violations:
                broken.setdefault(violation.event.sequence, []).append(violation)
            for event in batch.events:
                self._add_event(event, broken.pop(event.sequence, ()) if broken else ())
            for rest in broken.values():
                for violation in rest:
                    self._add_violation(violation)
            for taken in batch.taken:
                self._violations.act(taken)
                self._events.add_action(taken)

    def _add_event(self, event: Event, broken: Iterable[Violation]) -> None:
        broken = tuple(broken)
        for key, later in self._around.add(event):
            self._violations.followed_by(key, later)
        self._events.add(event, broken)
        self._forest.add_event(event)
        self._pulses.add(event)
        self._minutes.add(event)
        self._traffic.add(event)
        self._written.add(event)
        self._last_ns = max(self._last_ns, event.time_ns)
        for violation in broken:
            self._add_violation(violation)

    def _add_violation(self, violation: Violation) -> None:
        key = self._violations.add(violation, self._around.before(violation.event))
        self._around.wait(key, violation.event)
        self._events.flag(violation)
        self._forest.add_violation(violation)
        self._minutes.add_violation(violation)
        self._traffic.add_violation(violation)
        self._written.add_violation(violation)

    def _add_state(self, batch: Batch) -> None:
        self._lag_bytes = batch.lag_bytes
        self._losses = batch.losses or self._losses
        self._missing = self._missing if batch.missing is None else batch.missing
        self._session = batch.session or self._session
        self._state = batch.state or self._state
        self._progress = batch.progress if batch.progress is not None and batch.progress < 1 else None
        self._replay = batch.replay or self._replay
        if batch.notices:
            self._notice = batch.notices[-1]

    def kept(self) -> bytes:
        """All that it has made of a session that is over, by part, frozen (`tracer.frozen`)."""
        with self._lock:
            return freeze({part: getattr(self, part) for part in KEPT})

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `kept` gave of another model, thawed; the filter stays."""
        with self._lock:
            for part in KEPT:
                setattr(self, part, kept[part])
            self._progress = None
            self._lag_bytes = 0
        self.acknowledge(self._violations.keys(), seen=False)
        self.set_filter(self._filter)

    def look_at(self, elsewhere: Elsewhere | None) -> None:
        """Events from elsewhere in the trace in place of the newest; None: back to those."""
        with self._lock:
            if elsewhere is None:
                self._events.look_away()
            else:
                self._events.look_at(elsewhere)

    def set_filter(self, chosen: Where) -> None:
        """Show only the events and violations that pass; takes up to a tenth of a second."""
        with self._lock:
            self._filter = chosen
            self._events.set_filter(chosen)
            self._violations.set_filter(chosen)

    @property
    def session(self) -> Session:
        return self._session

    @property
    def filter(self) -> Where:
        return self._filter

    def acknowledge(self, keys: Iterable[Key], *, seen: bool = True) -> None:
        with self._lock:
            self._violations.acknowledge(keys, seen=seen)

    def set_vitals(self, vitals: Mapping[str, Vitals]) -> None:
        """By entity; the engine's own are those of its entity, too."""
        with self._lock:
            self._vitals = vitals

    def set_read_only(self, why: str) -> None:
        with self._lock:
            self._read_only = why

    # Out

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(
                summary=self._summary(),
                processes=self._forest.rows(),
                folded=self._forest.folded,
                violations=self._violations.groups(),
                events=self._events.events(),
                levels=self._events.levels(),
                elsewhere=self._events.is_elsewhere,
                since_ns=self._events.since_ns,
                filter=self._filter.text,
                vitals=self._vitals,
            )

    def peers(self) -> tuple[Peer, ...]:
        with self._lock:
            return self._traffic.peers(before(self._known, self._session.id))

    def peer_names(self) -> frozenset[str]:
        with self._lock:
            return self._traffic.names()

    def files(self, closed: frozenset[str] = frozenset()) -> tuple[FileRow, ...]:
        with self._lock:
            return self._written.rows(closed)

    def timeline(self) -> Timeline:
        with self._lock:
            return self._minutes.timeline()

    def _summary(self) -> Summary:
        counts = {level: self._violations.counts[level] for level in reversed(Level)}
        total = self._events.total
        now_ns = self._time_ns()
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
            now_ns=now_ns,
            progress=self._progress,
            pulses=self._pulses.at(now_ns),
            engine=self._vitals.get(self._session.engine.entity_id) if self._session.engine else None,
            read_only=self._why_read_only(),
            replay=self._replay,
        )

    def _why_read_only(self) -> str:
        if self._replay is None and self._state in {State.FINISHED, State.CUT, State.DAMAGED}:
            return "the session has ended"
        return self._read_only

    def _time_ns(self) -> int:
        if self._replay is not None:
            return self._replay.now_ns
        return self._now_ns() if self._state is State.LIVE else self._last_ns

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
        return max(0, self._time_ns() - self._session.started_ns)
