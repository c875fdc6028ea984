"""The whole session by time: events of each family, and violations of each level, in bounded memory."""

from __future__ import annotations

from array import array
from types import MappingProxyType

from tracer.events import Event, Level, Violation
from tui.kept import Kept
from tui.rates import family_of
from tui.snapshot import Family, Timeline

MAX_BINS = 7_200
FIRST_BIN_NS = 1_000_000_000

_Row = Family | Level


class Minutes(Kept):
    """Bins of a second; when there are too many, two become one, so that a day is as cheap as an hour."""

    MADE_ANEW = MappingProxyType({"_timeline": lambda: None})

    def __init__(self, max_bins: int = MAX_BINS) -> None:
        self.bin_ns = FIRST_BIN_NS
        self._max_bins = max_bins
        self._start_ns = 0
        self._rows: dict[_Row, array[int]] = {row: array("Q") for row in (*Family, *Level)}
        self._timeline: Timeline | None = None  # as handed out last; None: something has changed

    def add(self, event: Event) -> None:
        self._count(family_of(event), event.time_ns)

    def add_violation(self, violation: Violation) -> None:
        self._count(violation.rule.level, violation.event.time_ns)

    def _count(self, name: _Row, time_ns: int) -> None:
        if not self._start_ns:
            self._start_ns = time_ns - time_ns % FIRST_BIN_NS
        place = max(0, time_ns - self._start_ns) // self.bin_ns
        while place >= self._max_bins:
            self._merge()
            place = max(0, time_ns - self._start_ns) // self.bin_ns
        row = self._rows[name]
        if place >= len(row):
            row.extend([0] * (place + 1 - len(row)))
        row[place] += 1
        self._timeline = None

    def _merge(self) -> None:
        self.bin_ns *= 2
        for name, row in self._rows.items():
            if len(row) % 2:
                row.append(0)
            self._rows[name] = array("Q", (row[at] + row[at + 1] for at in range(0, len(row), 2)))

    def timeline(self) -> Timeline:
        """The same object as before when nothing changed."""
        if self._timeline is None:
            self._timeline = self._made()
        return self._timeline

    def _made(self) -> Timeline:
        length = max(len(row) for row in self._rows.values())

        def filled(row: array[int]) -> tuple[int, ...]:
            return (*row, *(0 for _ in range(length - len(row))))

        families = {family: filled(self._rows[family]) for family in Family}
        levels = {level: filled(self._rows[level]) for level in reversed(Level) if any(self._rows[level])}
        return Timeline(self._start_ns, self.bin_ns, MappingProxyType(families), MappingProxyType(levels))
