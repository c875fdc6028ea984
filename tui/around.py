"""What a process did just before and just after it broke a rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.events import Event

KEPT = 5  # events, on either side
MAX_PROCESSES = 2_000
MAX_WAITING = 20  # violations of one process whose "after" is not complete

Key = tuple[str, str, str]  # as `ViolationGroup.key`


@dataclass(slots=True)
class _Waiting:
    key: Key
    sequence: int
    after: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class _Trail:
    recent: deque[Event]
    waiting: list[_Waiting] = field(default_factory=list)


class Around:
    """The last few events of each process, and what violations still wait for. All of it is bounded."""

    def __init__(self) -> None:
        self._trails: dict[str, _Trail] = {}

    def add(self, event: Event) -> Iterator[tuple[Key, Event]]:
        """Take an event in; the violations that it comes after."""
        entity = event.process.entity_id
        trail = self._trails.get(entity)
        if trail is None:
            if len(self._trails) >= MAX_PROCESSES:
                del self._trails[next(iter(self._trails))]
            trail = self._trails[entity] = _Trail(deque(maxlen=KEPT))
        if trail.waiting:
            yield from _give(trail, event)
        trail.recent.append(event)

    def before(self, event: Event) -> tuple[Event, ...]:
        trail = self._trails.get(event.process.entity_id)
        return tuple(each for each in trail.recent if each.sequence < event.sequence) if trail else ()

    def wait(self, key: Key, event: Event) -> None:
        """From now on tell what comes after `event`."""
        trail = self._trails.get(event.process.entity_id)
        if trail is not None:
            trail.waiting = [each for each in trail.waiting if each.key != key][-MAX_WAITING:]
            trail.waiting.append(_Waiting(key, event.sequence))


def _give(trail: _Trail, event: Event) -> Iterator[tuple[Key, Event]]:
    for waiting in trail.waiting:
        if event.sequence > waiting.sequence:
            waiting.after.append(event)
            yield waiting.key, event
    trail.waiting = [each for each in trail.waiting if len(each.after) < KEPT]
