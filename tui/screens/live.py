"""The live screen: process tree, violations, event stream and details around one selection."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from tracer.errors import RubiconError
from tracer.events import Event, Process, Taken, Violation
from tui import details
from tui.desk import Desk
from tui.details import Document
from tui.logs import Elsewhere
from tui.screens.base import SessionScreen
from tui.screens.overlay import DetailsScreen
from tui.snapshot import Snapshot, State
from tui.widgets.details import DetailsPane
from tui.widgets.events import EventList
from tui.widgets.process_tree import ProcessTree
from tui.widgets.rows import RowList
from tui.widgets.violations import ViolationList


class LiveScreen(SessionScreen):
    mode = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "focus_pane('processes')", "Processes", show=False),
        Binding("v", "focus_pane('violations')", "Violations", show=False),
        Binding("e", "focus_pane('events')", "Events", show=False),
        Binding("a", "acknowledge", "Seen", show=False),
        Binding("A", "acknowledge_all", "All seen", show=False),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._active = "violations"

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="body"):
            with Vertical(id="main"):
                with Horizontal(id="upper"):
                    yield ProcessTree(id="processes")
                    yield ViolationList(id="violations")
                yield EventList(id="events")
            yield DetailsPane(id="details")

    def on_mount(self) -> None:
        for name in ("processes", "details"):
            self.query_one(f"#{name}").border_title = name
        self.focus_list()

    # Drawing

    def draw(self, snapshot: Snapshot) -> None:
        self.query_one(ProcessTree).show(snapshot)
        self.query_one(ViolationList).show(snapshot)
        self.query_one(EventList).show(snapshot)
        for name in ("violations", "events"):
            self.query_one(f"#{name}").border_title = f"{name} · filtered" if snapshot.filter else name
        self._show_details()

    def _show_details(self) -> None:
        pane = self.query_one(DetailsPane)
        if pane.display:
            pane.show(self.selection())

    def selection(self) -> Document:
        """What is selected in the pane that had the focus last."""
        if self._active == "events":
            return self._selected_event()
        if self._active == "processes":
            row = self.query_one(ProcessTree).selected
            return details.of_process(row, self.snapshot) if row else self._nothing()
        group = self.query_one(ViolationList).selected
        return details.of_violation(group) if group else self._nothing()

    def _selected_event(self) -> Document:
        """While a live stream is followed nothing is selected: it would be another event with every tick."""
        stream = self.query_one(EventList)
        event = stream.selected
        if event is None or (stream.following and self.snapshot.summary.state is State.LIVE):
            return self._nothing()
        if isinstance(event, Taken):
            return details.of_taken(event)
        return details.of_event(event, stream.levels.get(event.sequence))

    def _nothing(self) -> Document:
        return details.of_session(self.snapshot.summary)

    # Selection and focus

    def selected_event(self) -> Event | None:
        """The event behind what is selected; of a process there is none."""
        if self._active == "violations":
            violation = self.selected_violation()
            return violation.event if violation else None
        row = self.query_one(EventList).selected if self._active == "events" else None
        return row if isinstance(row, Event) else None

    def selected_violation(self) -> Violation | None:
        """What is selected, or what the selected event broke."""
        groups = self.query_one(ViolationList)
        if self._active == "violations":
            return groups.selected.violation if groups.selected else None
        row = self.query_one(EventList).selected if self._active == "events" else None
        if not isinstance(row, Event):
            return None
        found = (each.violation for each in self.snapshot.violations)
        return next((each for each in found if each.event.sequence == row.sequence), None)

    def selected_process(self) -> Process | None:
        """The process that is selected, or whose act it is."""
        if self._active == "processes":
            row = self.query_one(ProcessTree).selected
            return row.process if row else None
        event = self.selected_event()
        return event.process if event else None

    def selected_text(self) -> str:
        if self._active == "processes":
            process = self.selected_process()
            return f"entity:{process.entity_id}" if process else ""
        event = self.selected_event()
        return f"seq:{event.sequence}" if event else ""

    def selected_peer(self) -> Event | None:
        return self.selected_event()

    def selected_moment(self) -> int:
        event, process = self.selected_event(), self.selected_process()
        if event is not None:
            return event.time_ns
        return process.start_time_ns if process is not None else 0

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, RowList):
            self._active = event.widget.id or self._active
            self._show_details()

    def on_row_list_selected(self, message: RowList.Selected) -> None:
        if message.sender.id == self._active:
            self._show_details()

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        pane = self.query_one(DetailsPane)
        self._active = message.sender.id or self._active
        if pane.display and self.maximized is None:
            self._show_details()
            self.set_focus(pane)
        else:
            self.app.push_screen(DetailsScreen(self.selection()))

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_details)

    def row_list(self) -> RowList[Any] | None:
        return self.query_one(f"#{self._active}", RowList)

    def focus_list(self) -> None:
        self.set_focus(self.query_one(f"#{self._active}", Widget))

    def show_time(self, time_ns: int) -> None:
        """The first event at that time or after it. What is not in memory any more is read from the trace."""
        self.tick()
        self.action_focus_pane("events")
        stream = self.query_one(EventList)
        if time_ns < self.snapshot.since_ns and not stream.reaches(time_ns):
            self._fetch(time_ns)
            return
        if time_ns >= self.snapshot.since_ns:
            self.desk.model.look_at(None)
            self.tick()
        stream.select_time(time_ns)

    @work(thread=True, exclusive=True, group="moment")
    def _fetch(self, time_ns: int) -> None:
        try:
            found = self.desk.fetch(time_ns)
        except RubiconError as error:
            self.app.call_from_thread(self.notify, str(error), timeout=4, markup=False)
        else:
            self.app.call_from_thread(self._show_fetched, found, time_ns)

    def _show_fetched(self, found: Elsewhere, time_ns: int) -> None:
        stream = self.query_one(EventList)
        stream.following = False
        self.desk.model.look_at(found)
        self.tick()
        stream.select_time(time_ns)

    def on_event_list_followed(self) -> None:
        self.desk.model.look_at(None)
        self.tick()

    def action_jump(self, direction: int) -> None:
        """In the stream it does not end where memory does."""
        stream = self.query_one(EventList)
        event = stream.selected
        if self._active != "events" or stream.jump(direction) or not isinstance(event, Event):
            if self._active != "events":
                super().action_jump(direction)
            return
        try:
            time_ns = self.desk.next_broken(event.sequence, direction)
        except RubiconError:
            time_ns = None
        if time_ns is None:
            self.notify("none further down" if direction > 0 else "none further up", timeout=2)
        else:
            self.show_time(time_ns)

    # Keys

    def action_focus_pane(self, name: str) -> None:
        self.minimize()
        self._active = name
        self.focus_list()

    def action_pause(self) -> None:
        """The replay, or else the stream."""
        if self.desk.player is not None:
            super().action_pause()
        else:
            self.query_one(EventList).action_pause()

    def action_acknowledge(self) -> None:
        """Seen, or not seen after all; and on to the next."""
        groups = self.query_one(ViolationList)
        if (group := groups.selected) is not None:
            self.desk.model.acknowledge([group.key], seen=not group.acknowledged)
            if not group.acknowledged:
                groups.jump(1)
            self.tick()

    def action_acknowledge_all(self) -> None:
        """All that are shown: with a filter, only those that pass."""
        self.desk.model.acknowledge([group.key for group in self.snapshot.violations])
        self.tick()
