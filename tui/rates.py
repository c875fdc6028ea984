"""Events by family and second, by the events' own time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tracer.events import Category, Event
from tui.snapshot import Family, Pulse

SECONDS = 60
_FAMILIES = {Category.NETWORK: Family.NETWORK, Category.FILE: Family.FILES}
_SECOND_NS = 1_000_000_000


def family_of(event: Event) -> Family:
    return _FAMILIES.get(event.category, Family.PROCESS)


class Pulses:
    """The last minute of each family. What comes late by more than that is not in it."""

    def __init__(self) -> None:
        self._newest = 0  # second of the newest event
        self._counts = {family: [0] * SECONDS for family in Family}

    def add(self, event: Event) -> None:
        second = event.time_ns // _SECOND_NS
        if second > self._newest:
            self._advance(second)
        back = self._newest - second
        if back < SECONDS:
            self._counts[family_of(event)][SECONDS - 1 - back] += 1

    def _advance(self, second: int) -> None:
        passed = min(SECONDS, second - self._newest)
        for counts in self._counts.values():
            del counts[:passed]
            counts.extend([0] * passed)
        self._newest = second

    def at(self, now_ns: int) -> Mapping[Family, Pulse]:
        """The minute up to `now_ns`; while nothing happens the line runs on at zero."""
        passed = max(0, min(SECONDS, now_ns // _SECOND_NS - self._newest))
        pulses = {}
        for family, counts in self._counts.items():
            shown = (*counts[passed:], *(0 for _ in range(passed)))
            # The second that has just begun is not over: two whole ones before it tell the rate.
            pulses[family] = Pulse(shown, round(sum(shown[-3:-1]) / 2))
        return MappingProxyType(pulses)
