"""The timeline screen: when it was busy, and when rules were broken; and the way to any moment."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui import describe
from tui.screens.base import SessionScreen
from tui.snapshot import Snapshot
from tui.widgets.rows import RowList
from tui.widgets.timeline import TimelineView
from tui.widgets.violations import ViolationList


class TimelineScreen(SessionScreen):
    mode = "timeline"
    _drawn: tuple[object, ...] = ()  # what the lines below the timeline were made of

    def compose_body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield TimelineView(id="timeline")
            yield Static(id="span", markup=False)
            yield ViolationList(id="violations")

    def on_mount(self) -> None:
        self.query_one("#timeline").border_title = "timeline"
        self.query_one("#violations").border_title = "violations of that time"
        self.focus_list()

    def focus_list(self) -> None:
        self.set_focus(self.query_one("#timeline", Widget))

    def forget(self) -> None:
        self._drawn = ()
        super().forget()
        view = self.query_one(TimelineView)
        view.bins_each = 0
        view.action_move(1_000_000)

    def draw(self, snapshot: Snapshot) -> None:  # noqa: ARG002  drawn from the timeline
        view = self.query_one(TimelineView)
        view.show(self.desk.model.timeline())
        drawn = (view.timeline, view.span, self.snapshot.violations)
        if drawn != self._drawn:
            self._drawn = drawn
            self._show_span()

    def on_timeline_view_moved(self) -> None:
        self._show_span()

    def _show_span(self) -> None:
        view = self.query_one(TimelineView)
        begin_ns, end_ns = view.span
        families, levels = view.counts()
        words = [f"{describe.number(count)} {family.value}" for family, count in families.items()]
        words += [
            f"{describe.LEVEL_MARKS[level]} {count} {level.value}" for level, count in levels.items() if count
        ]
        if view.timeline.bins:
            span = f"{describe.clock_time(begin_ns)} and {describe.duration(end_ns - begin_ns)}"
            self.query_one("#span", Static).update(f" {span}:  {'  '.join(words)}")
        groups = self.snapshot.violations
        here = tuple(each for each in groups if each.first_ns < end_ns and each.last_ns >= begin_ns)
        violations = self.query_one(ViolationList)
        violations.empty_text = "no violation at that time"
        violations.set_rows(here)

    def on_timeline_view_opened(self, message: TimelineView.Opened) -> None:
        self.rubicon.go_to(message.time_ns)

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        group = message.sender.selected
        if group is not None:
            self.rubicon.go_to(group.violation.event.time_ns)
