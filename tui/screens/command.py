"""The command screen of `rubicon run --tui`: what the command shows, and what it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from tui import details
from tui.desk import Desk
from tui.screens.base import SessionScreen
from tui.screens.overlay import DetailsScreen
from tui.snapshot import Snapshot
from tui.widgets.rows import RowList
from tui.widgets.terminal import TerminalPane
from tui.widgets.violations import ViolationList

if TYPE_CHECKING:
    from tui.terminal import CommandTerminal


class CommandScreen(SessionScreen):
    mode = "command"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("i", "type", "Type into it")]

    def __init__(self, desk: Desk, terminal: CommandTerminal) -> None:
        super().__init__(desk)
        self._terminal = terminal

    def compose_body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield TerminalPane(self._terminal, id="terminal")
            yield ViolationList(id="violations")

    def on_mount(self) -> None:
        self.query_one("#violations").border_title = "violations"
        self.focus_list()

    def focus_list(self) -> None:
        self.set_focus(self.query_one("#terminal", Widget))

    def draw(self, snapshot: Snapshot) -> None:
        self.query_one(ViolationList).show(snapshot)

    def action_type(self) -> None:
        self.query_one(TerminalPane).begin()

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        if message.sender.selected is not None:
            self.app.push_screen(DetailsScreen(details.of_violation(message.sender.selected)))
