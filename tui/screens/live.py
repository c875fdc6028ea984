"""The live screen: process tree, violations, event stream and details around one selection."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from tui import details
from tui.details import Document
from tui.model import Model
from tui.screens.overlay import DetailsScreen, HelpScreen
from tui.snapshot import Snapshot, State
from tui.widgets.details import DetailsPane
from tui.widgets.events import EventList
from tui.widgets.filter import FilterInput
from tui.widgets.header import SessionHeader
from tui.widgets.process_tree import ProcessTree
from tui.widgets.rows import RowList
from tui.widgets.violations import ViolationList

TICK_SECONDS = 0.1
LEAST_GAP_SECONDS = 0.03  # between two drawings, when violations pour in


class LiveScreen(Screen[None]):
    """Draws a snapshot of `model` ten times a second, and at once when there is a violation."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (170, "-huge")]  # noqa: RUF012  Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "Quit"),
        Binding("ctrl+c", "app.quit", "Quit", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("f,space", "pause", "Follow", key_display="f"),
        Binding("p", "focus_pane('processes')", "Processes"),
        Binding("v", "focus_pane('violations')", "Violations"),
        Binding("e", "focus_pane('events')", "Events"),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.snapshot = Snapshot()
        self._drawn_at = 0.0
        self._active = "violations"

    def compose(self) -> ComposeResult:
        yield SessionHeader(id="header")
        with Horizontal(id="body"):
            with Vertical(id="main"):
                with Horizontal(id="upper"):
                    yield ProcessTree(id="processes")
                    yield ViolationList(id="violations")
                yield EventList(id="events")
            yield DetailsPane(id="details")
        yield FilterInput(id="filter")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        for name in ("processes", "details"):
            self.query_one(f"#{name}").border_title = name
        self._focus_active()
        self.tick()
        self.set_interval(TICK_SECONDS, self.tick)

    # Drawing

    def tick(self) -> None:
        """Take a snapshot and hand each widget its part."""
        self._drawn_at = time.monotonic()
        self.snapshot = snapshot = self.model.snapshot()
        self.query_one(SessionHeader).show(snapshot.summary)
        self.query_one(ProcessTree).show(snapshot)
        self.query_one(ViolationList).show(snapshot)
        self.query_one(EventList).show(snapshot)
        for name in ("violations", "events"):
            self.query_one(f"#{name}").border_title = (
                f"{name} · filtered" if snapshot.filter.strip() else name
            )
        self._show_details()

    def tick_soon(self) -> None:
        """There is a violation: draw now, unless that was done just before."""
        if time.monotonic() - self._drawn_at >= LEAST_GAP_SECONDS:
            self.tick()

    def _show_details(self) -> None:
        pane = self.query_one(DetailsPane)
        if pane.display:
            pane.show(self.selection())

    def selection(self) -> Document:
        """What is selected in the pane that had the focus last."""
        if self._active == "events":
            return self._selected_event()
        if self._active == "processes":
            process = self.query_one(ProcessTree).selected
            return details.of_process(process, self.snapshot) if process else self._nothing()
        group = self.query_one(ViolationList).selected
        return details.of_violation(group) if group else self._nothing()

    def _selected_event(self) -> Document:
        """While a live stream is followed nothing is selected: it would be another event with every tick."""
        stream = self.query_one(EventList)
        event = stream.selected
        if event is None or (stream.following and self.snapshot.summary.state is State.LIVE):
            return self._nothing()
        return details.of_event(event, stream.levels.get(event.sequence))

    def _nothing(self) -> Document:
        return details.of_session(self.snapshot.summary)

    # Selection and focus

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

    # Keys

    def action_focus_pane(self, name: str) -> None:
        self.minimize()
        self._active = name
        self._focus_active()

    def action_pause(self) -> None:
        self.query_one(EventList).action_pause()

    def action_zoom(self) -> None:
        """The pane with the focus on the whole screen, or back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen())

    def action_filter(self) -> None:
        self.minimize()
        field = self.query_one(FilterInput)
        field.display = True
        self.set_focus(field)

    def action_back(self) -> None:
        """Out of the filter, the zoom or the details, whichever is in front."""
        field = self.query_one(FilterInput)
        if self.maximized is not None:
            self.minimize()
        elif field.display:
            field.value = ""
            field.display = False
            self._focus_active()
        else:
            self._focus_active()

    def _focus_active(self) -> None:
        """At once, and not when the queue is empty as `Widget.focus` does: the next key is already there."""
        self.set_focus(self.query_one(f"#{self._active}"))

    def on_input_changed(self, message: FilterInput.Changed) -> None:
        self.model.set_filter(message.value)
        self.tick()

    def on_input_submitted(self, message: FilterInput.Submitted) -> None:
        message.input.display = bool(message.value.strip())
        self._focus_active()
