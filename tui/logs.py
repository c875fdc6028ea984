"""The newest events and the newest violations, in bounded memory; and of both those that pass the filter."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from tracer.events import Event, Exec, Level, Taken, Violation
from tracer.where import Where
from tui.around import KEPT
from tui.kept import Kept
from tui.snapshot import ViolationGroup

K = TypeVar("K")
Broken = tuple[Violation, ...]
Elsewhere = Sequence[tuple[Event, Broken]]

MAX_ARGS_BYTES = 32 * 2**20  # of the arguments of those events: one may have 128 KiB of them


class Newest:
    """The newest events, bounded in number and in what their arguments take."""

    def __init__(self, max_events: int, max_args_bytes: int) -> None:
        self.events: deque[Event | Taken] = deque()
        self.forgot = False
        self._max = max_events
        self._max_args_bytes = max_args_bytes
        self._args_bytes = 0

    def append(self, event: Event | Taken) -> None:
        self.events.append(event)
        self._args_bytes += _args_bytes(event)
        while len(self.events) > self._max or (
            self._args_bytes > self._max_args_bytes and len(self.events) > 1
        ):
            self._args_bytes -= _args_bytes(self.events.popleft())
            self.forgot = True

    def like(self) -> Newest:
        """An empty one with the same bounds."""
        return Newest(self._max, self._max_args_bytes)


def _args_bytes(event: Event | Taken) -> int:
    """What an exec brings with it, about; the other events of a process share the arguments of its exec."""
    if isinstance(event, Taken) or not isinstance(event.detail, Exec):
        return 0
    return sum(map(len, event.detail.args))


class EventLog(Kept):
    """The newest events, those of them that pass the filter, and what they broke.

    Between them stands what Rubicon itself did; a filter asks for events and leaves it out. `look_at` puts
    others in their place, from elsewhere in the trace, until `look_away`.
    """

    MADE_ANEW = MappingProxyType(
        {
            "filter": Where,
            "_passed": lambda: Newest(0, 0),
            "_elsewhere": lambda: None,
            "_events": tuple,
            "_events_changed": lambda: True,
            "_levels": lambda: MappingProxyType({}),
            "_levels_changed": lambda: True,
        }
    )

    def __init__(self, max_events: int, max_args_bytes: int = MAX_ARGS_BYTES) -> None:
        self.total = 0
        self.filter = Where()
        self._all = Newest(max_events, max_args_bytes)
        self._passed = Newest(max_events, max_args_bytes)
        self._broken: dict[int, tuple[Violation, ...]] = {}
        self._max = max_events
        self._elsewhere: Elsewhere | None = None
        self._events: tuple[Event | Taken, ...] = ()
        self._levels: MappingProxyType[int, Level] = MappingProxyType({})
        self._events_changed = self._levels_changed = False

    def add(self, event: Event, broken: Broken = ()) -> None:
        self._all.append(event)
        self.total += 1
        if self.filter and self.filter(event, broken):
            self._passed.append(event)
        self._events_changed = True

    def add_action(self, taken: Taken) -> None:
        self._all.append(taken)
        self._events_changed = True

    def flag(self, violation: Violation) -> None:
        sequence = violation.event.sequence
        self._broken[sequence] = (*self._broken.pop(sequence, ()), violation)
        if len(self._broken) > self._max:
            del self._broken[next(iter(self._broken))]
        self._levels_changed = True

    def set_filter(self, chosen: Where) -> None:
        self.filter = chosen
        self._passed = self._all.like()
        if chosen:
            for event in self._all.events:
                if isinstance(event, Event) and chosen(event, self._broken.get(event.sequence, ())):
                    self._passed.append(event)
        self._events_changed = True

    def look_at(self, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self._events_changed = self._levels_changed = True

    def look_away(self) -> None:
        """Back to the newest."""
        self._elsewhere = None
        self._events_changed = self._levels_changed = True

    @property
    def since_ns(self) -> int:
        """When the oldest event of those in memory was; 0 when no event was forgotten."""
        return self._all.events[0].time_ns if self._all.forgot else 0

    @property
    def is_elsewhere(self) -> bool:
        return self._elsewhere is not None

    def events(self) -> tuple[Event | Taken, ...]:
        if self._events_changed:
            self._events_changed = False
            if self._elsewhere is not None:
                self._events = tuple(event for event, broken in self._elsewhere if self.filter(event, broken))
            else:
                self._events = tuple((self._passed if self.filter else self._all).events)
        return self._events

    def levels(self) -> MappingProxyType[int, Level]:
        if self._levels_changed:
            broken_at = self._broken
            if self._elsewhere is not None:
                broken_at = {event.sequence: broken for event, broken in self._elsewhere if broken}
            self._levels = MappingProxyType({at: _worst(broken) for at, broken in broken_at.items()})
            self._levels_changed = False
        return self._levels


def _worst(broken: Iterable[Violation]) -> Level:
    return max((each.rule.level for each in broken), key=lambda level: level.rank)


Key = tuple[str, str, str]
_NO_KEY: Key = ("", "", "")


class ViolationLog(Kept):
    """Violations grouped by rule, process and words; the group that grew last is the newest.

    One that grows again is news again, be it acknowledged.
    """

    MADE_ANEW = MappingProxyType({"_filter": Where, "_frozen": tuple, "_changed": lambda: True})

    def __init__(self, max_groups: int) -> None:
        self.counts: Counter[Level] = Counter()
        self._max = max_groups
        self._groups: dict[Key, ViolationGroup] = {}
        self._by_event: dict[tuple[int, str], Key] = {}
        self._early: dict[tuple[int, str], Taken] = {}
        self._filter = Where()
        self._frozen: tuple[ViolationGroup, ...] = ()
        self._changed = False

    def add(self, violation: Violation, before: tuple[Event, ...] = ()) -> Key:
        """Its group's key."""
        event = violation.event
        key = (violation.rule.id, event.process.entity_id, violation.summary)
        known = self._groups.pop(key, None)
        count, first_ns = (known.count, known.first_ns) if known else (0, event.time_ns)
        taken = self._early.pop((event.sequence, violation.rule.id), known.taken if known else None)
        self._groups[key] = ViolationGroup(
            violation, count + 1, first_ns, event.time_ns, taken, before=before
        )
        self._by_event[event.sequence, violation.rule.id] = key
        _forget_oldest(self._by_event, self._max)
        if len(self._groups) > self._max:
            del self._groups[next(iter(self._groups))]
        self.counts[violation.rule.level] += 1
        self._changed = True
        return key

    def followed_by(self, key: Key, event: Event) -> None:
        """The process of that group went on with `event`."""
        group = self._groups.get(key)
        if group is not None and len(group.after) < KEPT:
            self._groups[key] = replace(group, after=(*group.after, event))
            self._changed = True

    def act(self, taken: Taken) -> None:
        """What was done about a violation, which may be told before the violation itself is."""
        if taken.rule is None or not taken.event:
            return
        place = taken.event, taken.rule.id
        group = self._groups.get(self._by_event.get(place, _NO_KEY))
        if group is None:
            self._early[place] = taken
            _forget_oldest(self._early, self._max)
            return
        self._groups[self._by_event[place]] = replace(group, taken=taken)
        self._changed = True

    def keys(self) -> list[Key]:
        return list(self._groups)

    def acknowledge(self, keys: Iterable[Key], *, seen: bool) -> None:
        for key in keys:
            if key in self._groups:
                self._groups[key] = replace(self._groups[key], acknowledged=seen)
                self._changed = True

    def set_filter(self, chosen: Where) -> None:
        self._filter = chosen
        self._changed = True

    def groups(self) -> tuple[ViolationGroup, ...]:
        if self._changed:
            newest_first = reversed(self._groups.values())
            passes = self._filter
            self._frozen = tuple(g for g in newest_first if passes(g.violation.event, (g.violation,)))
            self._changed = False
        return self._frozen


def _forget_oldest(known: dict[K, Any], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]
