"""Violations that repeat: the first is told at once, the others as a number now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tracer.events import Violation

PERIOD_SECONDS = 1.0
KEPT = 4096  # different violations that are remembered; of those before, the next is a first one again

_Key = tuple[object, ...]


@dataclass(slots=True)
class _Told:
    violation: Violation
    at_seconds: float
    untold: int = 0


class Folding:
    """The same violation is the same rule, broken by the same program of the same process in the same way."""

    def __init__(
        self,
        *,
        kept: int = KEPT,
        period_seconds: float = PERIOD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._period_seconds = period_seconds
        self._clock = clock
        self._told: dict[_Key, _Told] = {}
        self._looked_seconds = clock()

    def take(self, violation: Violation) -> Iterator[tuple[Violation, int]]:
        """What there is to tell now: violations, and how often each was repeated since it was last told;
        0 for one that is new."""
        now = self._clock()
        key = _key(violation)
        told = self._told.get(key)
        if told is None:
            yield violation, 0
            self._told[key] = _Told(violation, now)
            yield from self._forget()
        else:
            told.violation = violation
            told.untold += 1
        if now - self._looked_seconds >= self._period_seconds:
            self._looked_seconds = now
            yield from self._due(now - self._period_seconds)

    def rest(self) -> Iterator[tuple[Violation, int]]:
        """What was not told yet, at the end."""
        yield from self._due(self._clock())

    def _due(self, before_seconds: float) -> Iterator[tuple[Violation, int]]:
        for told in self._told.values():
            if told.untold and told.at_seconds <= before_seconds:
                yield told.violation, told.untold
                told.untold, told.at_seconds = 0, self._clock()

    def _forget(self) -> Iterator[tuple[Violation, int]]:
        if len(self._told) > self._kept:
            oldest = self._told.pop(next(iter(self._told)))
            if oldest.untold:
                yield oldest.violation, oldest.untold


def _key(violation: Violation) -> _Key:
    process = violation.event.process
    matched = tuple((match.field, match.value) for match in violation.matched)
    return (
        violation.rule.id,
        violation.event.action,
        process.pid,
        process.start_ns,
        process.executable,
        matched,
    )
