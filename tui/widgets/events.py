"""The event stream: one line an event, the newest at the bottom."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tracer.events import Category, Event, Level, Result, Taken
from tui import describe, terms
from tui.cells import Part, crop_parts, fit, fit_middle, fit_right, parts_cells, shown
from tui.snapshot import Snapshot
from tui.terms import Term
from tui.widgets.rows import RowList

_FAMILY = {Category.NETWORK: "network", Category.FILE: "file"}  # the others are the process's own
_WIDE = 100  # from this width on the program has room for its whole name


class EventList(RowList[Event | Taken]):
    """Follows the stream until somebody moves up or pauses it; then it stands still."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end,G", "follow", "Follow", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.following = True
        self.levels: Mapping[int, Level] = MappingProxyType({})
        self.empty_text = "no events yet"
        self._latest: Snapshot = Snapshot()
        self._filter = ""

    class Followed(Message):
        """Somebody wants to see the newest again."""

    def show(self, snapshot: Snapshot) -> None:
        """Take what is new; paused, only a new filter or another place in the trace changes what is shown."""
        moved = snapshot.elsewhere or self._latest.elsewhere
        self._latest = snapshot
        if self.levels is not snapshot.levels:
            self.levels = snapshot.levels
            self.refresh()
        if self.following or moved or snapshot.filter != self._filter:
            self._take()
        self._label()

    def _take(self) -> None:
        self._filter = self._latest.filter
        self.empty_text = "no event passes the filter" if self._filter else "no events yet"
        if self.following:
            self._take_newest()
        else:
            self.set_rows(self._latest.events)

    def _take_newest(self) -> None:
        if self._latest.events is self.rows:
            return
        self.rows = self._latest.events
        self.cursor = max(0, len(self.rows) - 1)
        self._resize()
        self._show_cursor()
        self.refresh()
        self.post_message(self.Selected(self))

    def select(self, index: int) -> None:
        """To select an event is to stop the stream."""
        self.following = False
        super().select(index)
        self._label()

    def reaches(self, time_ns: int) -> bool:
        """Whether that time is between the first and the last line."""
        return bool(self.rows) and self.rows[0].time_ns <= time_ns <= self.rows[-1].time_ns

    def select_time(self, time_ns: int) -> None:
        """The first line at that time or after it."""
        times = (row.time_ns for row in self.rows)
        found = next((index for index, when in enumerate(times) if when >= time_ns), len(self.rows) - 1)
        if self.rows:
            self.select(found)

    def action_follow(self) -> None:
        if self._latest.elsewhere:
            self.post_message(self.Followed())
        self.following = True
        self._take_newest()
        self._show_cursor()
        self.refresh()
        self.post_message(self.Selected(self))
        self._label()

    def action_pause(self) -> None:
        if self.following:
            self.select(self.cursor)
        else:
            self.action_follow()

    @property
    def marks_cursor(self) -> bool:
        return not self.following

    @property
    def missed(self) -> int:
        """How many events came since the stream was paused."""
        if self.following or not self._latest.events or self._latest.elsewhere:
            return 0
        return max(0, last_number(self._latest.events) - last_number(self.rows))

    def _label(self) -> None:
        if self._latest.elsewhere and self.rows:
            span = " to ".join(describe.clock_time(row.time_ns) for row in (self.rows[0], self.rows[-1]))
            self.border_subtitle = f"{span} · end: the newest"
        elif self.following:
            self.border_subtitle = "following"
        else:
            self.border_subtitle = f"paused · {describe.number(self.missed)} newer · end follows"

    def forget(self) -> None:
        self.following = True
        self._latest = Snapshot()
        super().forget()

    def on_mouse_scroll_up(self) -> None:
        """To look back is to stop the stream."""
        if self.following:
            self.action_pause()

    def key(self, row: Event | Taken) -> Hashable:
        return row.sequence if isinstance(row, Event) else row

    def version(self, row: Event | Taken) -> Hashable:
        return self.levels.get(row.sequence) if isinstance(row, Event) else None

    def draw(self, row: Event | Taken, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        if isinstance(row, Taken):
            return taken_line(row, width)
        return event_line(row, self.levels.get(row.sequence), width)

    def terms(self, row: Event | Taken) -> Sequence[Term]:
        return terms.of_event(row) if isinstance(row, Event) else ()

    def is_marked(self, row: Event | Taken) -> bool:
        return isinstance(row, Taken) or row.sequence in self.levels


def last_number(rows: Sequence[Event | Taken]) -> int:
    """The number of the newest event."""
    return next((row.sequence for row in reversed(rows) if isinstance(row, Event)), 0)


def taken_line(taken: Taken, width: int) -> list[Part]:
    """What Rubicon itself did, between what it was done to."""
    done = taken.result is Result.DONE
    parts: list[Part] = [
        (shown(describe.clock_time(taken.time_ns) + " "), "dim"),
        (fit("■", 2), "note"),
        (fit(taken.response.value, 9), "note"),
        (fit_right("rubicon", 7), "dim"),
        (shown(" "), ""),
    ]
    by = f" ({taken.rule.name if taken.rule else taken.by})" if taken.rule or taken.by else ""
    room = max(0, width - parts_cells(parts))
    return crop_parts([*parts, (fit(taken.message + by, room), "strong" if done else "failed")], width)


def event_line(event: Event, level: Level | None, width: int) -> list[Part]:
    """Time, mark, action, pid, program, error and object; the object gets what room is left."""
    name_width = 16 if width >= _WIDE else 10
    mark = fit(describe.LEVEL_MARKS[level] if level else "", 2)
    parts: list[Part] = [
        (shown(describe.clock_time(event.time_ns) + " "), "dim"),
        (mark, level.value if level else ""),
        (fit(describe.action_word(event.action), 9), _FAMILY.get(event.category, "process")),
        (fit_right(str(event.process.pid), 7), "dim"),
        (shown(" "), ""),
        (fit(event.process.name, name_width), ""),
        (shown(" "), ""),
    ]
    if event.error:
        parts.append((shown(describe.error_name(event.error) + " "), "failed"))
    return crop_parts([*parts, _subject(event, width - parts_cells(parts))], width)


def _subject(event: Event, width: int) -> Part:
    text = describe.subject(event)
    return (fit_middle if event.category is Category.FILE else fit)(text, max(0, width)), ""
