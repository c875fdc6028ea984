"""The session by time: a column for each span, a row for each family and each level that was violated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tracer.events import Level
from tui import describe
from tui.cells import Part, Shown, crop_parts, fit, shown
from tui.snapshot import Family, Timeline

LABEL_CELLS = 11
AXIS_CELLS = 10  # between two times on the axis
_BARS = " ▁▂▃▄▅▆▇█"
_STYLES = {Family.PROCESS: "process", Family.NETWORK: "network", Family.FILES: "file"}
_NO_TIMELINE = Timeline(0, 1, {}, {})


class TimelineView(Widget, can_focus=True):
    """Left and right move in time, + and - zoom. While the cursor is at the end it stays there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Earlier", show=False),
        Binding("right,l", "move(1)", "Later", show=False),
        Binding("pageup,shift+left", "move(-10)", "Earlier", show=False),
        Binding("pagedown,shift+right", "move(10)", "Later", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
        Binding("plus,equals_sign", "zoom_in", "Zoom in", key_display="+"),
        Binding("minus", "zoom_out", "Zoom out", key_display="-"),
        Binding("enter", "open", "Go there", key_display="⏎"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dim", "strong", "cursor", "process", "network", "file",
        "critical", "high", "medium", "low", "informational",
    }  # fmt: skip

    class Moved(Message):
        """Another span is under the cursor."""

    class Opened(Message):
        """Somebody wants to see what happened there."""

        def __init__(self, time_ns: int) -> None:
            super().__init__()
            self.time_ns = time_ns

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.timeline = _NO_TIMELINE
        self.bins_each = 0  # in a column; 0: as many as it takes to have all on the screen
        self.column = 0
        self._at_end = True

    def show(self, timeline: Timeline) -> None:
        if timeline is self.timeline:
            return
        self.timeline = timeline
        self._place_cursor()

    def on_resize(self) -> None:
        self._place_cursor()
        self.post_message(self.Moved())

    def _place_cursor(self) -> None:
        if self._at_end:
            self.column = max(0, self.columns - 1)
        self.column = min(self.column, max(0, self.columns - 1))
        self.refresh()

    # Geometry: a column is `each` bins wide

    @property
    def each(self) -> int:
        room = max(1, self.size.width - LABEL_CELLS)
        return self.bins_each or max(1, -(-self.timeline.bins // room))

    @property
    def columns(self) -> int:
        return -(-self.timeline.bins // self.each)

    @property
    def first(self) -> int:
        """The leftmost column that is shown."""
        room = max(1, self.size.width - LABEL_CELLS)
        return max(0, min(self.column - room // 2, self.columns - room))

    @property
    def span(self) -> tuple[int, int]:
        """What is under the cursor: from and to, nanoseconds since the Unix epoch."""
        width_ns = self.each * self.timeline.bin_ns
        start_ns = self.timeline.start_ns + self.column * width_ns
        return start_ns, start_ns + width_ns

    def counts(self) -> tuple[Mapping[Family, int], Mapping[Level, int]]:
        """Under the cursor."""
        bins = slice(self.column * self.each, (self.column + 1) * self.each)
        return (
            {family: sum(row[bins]) for family, row in self.timeline.families.items()},
            {level: sum(row[bins]) for level, row in self.timeline.levels.items()},
        )

    # Keys and mouse

    def action_move(self, columns: int) -> None:
        self._go(self.column + columns)

    def _go(self, column: int) -> None:
        last = max(0, self.columns - 1)
        self.column = max(0, min(column, last))
        self._at_end = self.column == last
        self.refresh()
        self.post_message(self.Moved())

    def action_zoom_in(self) -> None:
        self._zoom(max(1, self.each // 2))

    def action_zoom_out(self) -> None:
        self._zoom(min(max(1, self.timeline.bins), self.each * 2))

    def _zoom(self, each: int) -> None:
        """The moment under the cursor stays there."""
        bin_number = self.column * self.each
        self.bins_each = each
        self._go(bin_number // each)

    def action_open(self) -> None:
        self.post_message(self.Opened(self.span[0]))

    def on_click(self, event: events.Click) -> None:
        if event.x >= LABEL_CELLS:
            self._go(self.first + event.x - LABEL_CELLS)
            if event.chain == 2:
                self.action_open()

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    # Drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        parts = self._line(y, max(1, width - LABEL_CELLS))
        base = self.rich_style
        segments = [Segment(text, base + self._style(style)) for text, style in crop_parts(parts, width)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, names: str) -> Style:
        style = Style.null()
        for each in names.split():
            style += self.get_component_rich_style(each, partial=True)
        return style

    def _line(self, y: int, room: int) -> list[Part]:
        if y == 0:
            return [(fit("", LABEL_CELLS), ""), (axis(self, room), "dim")]
        rows = self._rows()
        height = self.row_height
        index, line = divmod(y - 1, height)
        if index >= len(rows) or height * len(rows) <= y - 1:
            return []
        label, row, style = rows[index]
        shown_label = label if line == height - 1 else ""
        return [
            (fit(shown_label, LABEL_CELLS), style),
            *self._bars(row, style, height - 1 - line, height, room),
        ]

    @property
    def row_height(self) -> int:
        rows = max(1, len(self.timeline.families) + len(self.timeline.levels))
        return max(1, min(4, (self.size.height - 1) // rows))

    def _rows(self) -> list[tuple[str, Sequence[int], str]]:
        rows: list[tuple[str, Sequence[int], str]] = [
            (family.value, row, _STYLES[family]) for family, row in self.timeline.families.items()
        ]
        for level, row in self.timeline.levels.items():
            rows.append((f"{describe.LEVEL_MARKS[level]} {_short(level)}", row, level.value))
        return rows

    def _bars(self, row: Sequence[int], style: str, level: int, height: int, room: int) -> list[Part]:
        """One line of the bars: `level` counts from the foot. What is there at all is seen at the foot."""
        each, first = self.each, self.first
        sums = [
            sum(row[column * each : (column + 1) * each])
            for column in range(first, min(first + room, self.columns))
        ]
        most = max((sum(row[at : at + each]) for at in range(0, len(row), each)), default=0)
        steps = 8 * height
        bars = []
        for count in sums:
            filled = -(-count * steps // most) if most else 0
            bars.append(_BARS[max(0, min(8, filled - 8 * level))])
        at = self.column - first
        text = "".join(bars)
        return [
            (Shown(text[:at]), style),
            (Shown(text[at : at + 1]), f"{style} cursor"),
            (Shown(text[at + 1 :]), style),
        ]


def _short(level: Level) -> str:
    return "info" if level is Level.INFORMATIONAL else level.value


def axis(view: TimelineView, room: int) -> Shown:
    """Times of day above the columns, as many as there is room for."""
    width_ns = view.each * view.timeline.bin_ns
    text = ""
    for column in range(view.first, min(view.first + room, view.columns), AXIS_CELLS):
        text += describe.clock_time(view.timeline.start_ns + column * width_ns).ljust(AXIS_CELLS)
    return shown(text[:room])
