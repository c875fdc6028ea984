"""What every screen of a session has: header, tabs, filter line and the keys that work everywhere."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from tracer.events import Event, Process, Violation
from tracer.text import printable
from tui import describe, terms
from tui.desk import Desk
from tui.screens.menus import Choice, ChoiceScreen
from tui.screens.overlay import HelpScreen
from tui.snapshot import Peer, Snapshot
from tui.terms import Term
from tui.widgets.filter import FilterBar, FilterInput
from tui.widgets.header import SessionHeader
from tui.widgets.rows import RowList
from tui.widgets.tabs import COMMAND, SCREENS, ScreenTabs

if TYPE_CHECKING:
    from tui.app import RubiconApp

TICK_SECONDS = 0.1
LEAST_GAP_SECONDS = 0.03  # between two drawings, when violations pour in


class SessionScreen(Screen[None]):
    """Draws a snapshot of the model ten times a second while it is in front."""

    mode: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (170, "-huge")]  # noqa: RUF012  Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("f", "filter_by(False)", "Only this", show=False),
        Binding("x", "filter_by(True)", "Not this", show=False),
        Binding("n", "jump(1)", "Next", show=False),
        Binding("N", "jump(-1)", "Previous", show=False),
        Binding("m", "moment", "Its moment", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("backspace", "go_back", "Back", show=False),
        Binding("escape", "back", "Back", show=False),
        *(Binding(key, f"show('{mode}')", title, show=False) for key, mode, title in (COMMAND, *SCREENS)),
        Binding("space", "pause", "Pause", show=False),
        Binding("full_stop", "step", "Step", show=False),
        Binding("greater_than_sign", "next_violation", "Next violation", show=False),
        Binding("right_square_bracket", "faster(1)", "Faster", show=False),
        Binding("left_square_bracket", "faster(-1)", "Slower", show=False),
        Binding("R", "replay", "Replay", show=False),
        Binding("F", "act('freeze')", "Freeze"),
        Binding("T", "act('thaw')", "Thaw", show=False),
        Binding("K", "act('kill_process')", "Kill"),
        Binding("X", "act('kill')", "Kill all", show=False),
        Binding("D", "act('deny')", "Deny", show=False),
        Binding("P", "act('allow')", "Add to policy", show=False),
        Binding("E", "act('export')", "Export", show=False),
        Binding("W", "act('report')", "Write report", show=False),
        Binding("colon", "app.command_palette", "Commands", key_display=":"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        Binding("ctrl+c", "app.quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.snapshot = Snapshot()
        self._drawn_at = 0.0

    @property
    def rubicon(self) -> RubiconApp:
        return cast("RubiconApp", self.app)

    def compose(self) -> ComposeResult:
        yield SessionHeader(id="header")
        yield ScreenTabs(self.mode, with_command=self.rubicon.has_command)
        yield from self.compose_body()
        yield FilterBar(self.rubicon.filters)
        yield Footer(compact=True, show_command_palette=False)

    @abstractmethod
    def compose_body(self) -> ComposeResult:
        """What is between the tabs and the filter line."""

    @abstractmethod
    def draw(self, snapshot: Snapshot) -> None:
        """Hand each widget its part."""

    def forget(self) -> None:
        """Another session is shown from now on."""
        for rows in self.query(RowList):
            rows.forget()
        self._show_bar(self.desk.filter_text)

    def on_mount(self) -> None:
        self.set_interval(TICK_SECONDS, self.tick)

    def on_screen_resume(self) -> None:
        self._show_bar(self.desk.filter_text)
        self.tick()

    def _show_bar(self, text: str) -> None:
        """The filter there is; without one no line, and no key may go to a line that is not there."""
        bar = self.query_one(FilterBar)
        with self.prevent(FilterInput.Changed):
            bar.line.value = text
        bar.display = bool(text)
        if not text and bar.line.has_focus:
            self.focus_list()

    # Drawing

    def tick(self) -> None:
        if not (self.is_mounted and self.is_current):
            return
        self._drawn_at = time.monotonic()
        self.snapshot = snapshot = self.desk.model.snapshot()
        self.query_one(SessionHeader).show(snapshot.summary)
        self.query_one(ScreenTabs).show(snapshot.summary)
        self.draw(snapshot)

    def tick_soon(self) -> None:
        """There is a violation: draw now, unless that was done just before."""
        if time.monotonic() - self._drawn_at >= LEAST_GAP_SECONDS:
            self.tick()

    # What is selected

    def selected_terms(self) -> Iterable[Term]:
        """What the selected thing can be filtered by, the likeliest first."""
        rows = self.row_list()
        return rows.terms(rows.selected) if rows is not None and rows.selected is not None else ()

    def selected_text(self) -> str:
        """A filter that only what is selected passes, as narrow as can be said; "" without a selection."""
        found = list(self.selected_terms())
        return terms.written(found[0]) if found else ""

    def selected_process(self) -> Process | None:
        return None

    def selected_violation(self) -> Violation | None:
        return None

    def selected_peer(self) -> Peer | Event | None:
        """The other end that is selected, or an event that speaks of one."""
        return None

    def selected_moment(self) -> int:
        """When what is selected happened or began, nanoseconds since the Unix epoch; 0 for nothing."""
        return 0

    def row_list(self) -> RowList[Any] | None:
        """The list that keys are meant for."""
        return self.focused if isinstance(self.focused, RowList) else next(iter(self.query(RowList)), None)

    # Keys that work everywhere

    def action_show(self, mode: str) -> None:
        self.desk.leave(self.mode, self.desk.filter_text)
        self.rubicon.show_screen(mode)

    def on_screen_tabs_chosen(self, message: ScreenTabs.Chosen) -> None:
        self.action_show(message.mode)

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen())

    def action_zoom(self) -> None:
        """The pane with the focus on the whole screen, or back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None and not isinstance(self.focused, FilterInput):
            self.maximize(self.focused)

    def action_jump(self, direction: int) -> None:
        rows = self.row_list()
        if rows is not None and not rows.jump(direction):
            self.notify("none further down" if direction > 0 else "none further up", timeout=2)

    def action_moment(self) -> None:
        """What happened around it, in the stream."""
        if time_ns := self.selected_moment():
            self.rubicon.go_to(time_ns)
        else:
            self.notify("nothing is selected", timeout=2)

    def action_copy(self) -> None:
        rows = self.row_list()
        if rows is None or rows.selected is None:
            return
        text = rows.copied(rows.selected)
        self.app.copy_to_clipboard(text)
        self.notify(f"copied: {text[:60]}", timeout=2, markup=False)

    def action_filter(self) -> None:
        self.minimize()
        bar = self.query_one(FilterBar)
        bar.display = True
        self.set_focus(bar.line)

    def action_filter_by(self, exclude: bool) -> None:
        """Choose one of the values of what is selected, to see only what has it, or what has not."""
        found = list(dict.fromkeys(self.selected_terms()))
        if not found:
            self.notify("nothing is selected", timeout=2)
            return
        title = "leave out" if exclude else "only"
        choices = [Choice(printable(terms.written(term)), term) for term in found]

        def chosen(term: Term | None) -> None:
            if term is not None:
                self.set_filter(terms.added(self.desk.filter_text, term, exclude=exclude))

        self.app.push_screen(ChoiceScreen(title, choices), chosen)

    def set_filter(self, text: str) -> None:
        """As if it had been typed and kept."""
        self.desk.leave(self.mode, self.desk.filter_text)
        if self.desk.preview(text):
            self.show_filter(text)

    def show_filter(self, text: str) -> None:
        self._show_bar(text)
        self.query_one(FilterBar).line.keep()
        self._tell_found()
        self.tick()

    def action_back(self) -> None:
        """Out of the zoom or the filter, whichever is in front."""
        if self.maximized is not None:
            self.minimize()
        elif self.query_one(FilterBar).display:
            self._clear_filter()
        self.focus_list()

    def _clear_filter(self) -> None:
        self.desk.leave(self.mode, self.desk.filter_text)
        self.desk.preview("")
        self.show_filter("")

    def action_go_back(self) -> None:
        """To where one was: the filter before, or the screen before."""
        step = self.desk.back(self.mode)
        if step is None:
            return
        self.desk.preview(step.filter)
        self.show_filter(step.filter)
        if step.mode != self.mode:
            self.rubicon.show_screen(step.mode)

    def focus_list(self) -> None:
        """At once, and not when the queue is empty as `Widget.focus` does: the next key is already there."""
        rows = next(iter(self.query(RowList)), None)
        if rows is not None:
            self.set_focus(cast("Widget", rows))

    def on_input_changed(self, message: FilterInput.Changed) -> None:
        if isinstance(message.input, FilterInput):
            self.desk.preview(message.value)
            self._tell_found()
            self.tick()

    def _tell_found(self) -> None:
        bar = self.query_one(FilterBar)
        if self.desk.mistake:
            bar.tell(self.desk.mistake, wrong=True)
        else:
            bar.tell(f"{describe.number(len(self.desk.model.snapshot().events))} found")

    def action_keep_filter(self) -> None:
        bar = self.query_one(FilterBar)
        bar.line.keep()
        bar.display = bool(bar.line.value.strip())
        self.focus_list()

    # Replay and acts

    def action_pause(self) -> None:
        if self.desk.player is not None:
            self.desk.player.toggle()

    def action_step(self) -> None:
        if self.desk.player is not None:
            self.desk.player.step()

    def action_next_violation(self) -> None:
        if self.desk.player is not None:
            self.desk.player.next_violation()
        else:
            self.action_jump(1)

    def action_faster(self, by: int) -> None:
        if self.desk.player is not None:
            self.desk.player.faster(by)

    def action_replay(self) -> None:
        self.rubicon.start_replay()

    def action_act(self, name: str) -> None:
        self.rubicon.act(name, self)
