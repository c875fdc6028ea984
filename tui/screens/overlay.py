"""What lies over the live screen for a moment: details where there is no room for a pane, and the help."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tui.details import Document
from tui.widgets.details import DetailsPane

_KEYS = (
    ("p v e   tab", "go to processes, violations, events; next pane"),
    ("↑ ↓ pgup pgdn home", "move; in the events this stops the stream"),
    ("f space end", "stop the stream, follow it again"),
    ("← →", "close and open a subtree of the processes"),
    ("enter", "details of the selected line"),
    ("/", "only events and violations with these words"),
    ("!word", "in the filter: without this word"),
    ("z", "one pane on the whole screen, and back"),
    ("esc", "out of the filter, the zoom, the details"),
    ("q", "quit; what is watched goes on"),
)
_SIGNS = (
    ("◆ ▲ ● ○ ·", "critical, high, medium, low, informational"),
    ("◆3", "worst and number, with all it started"),
    ("✓ =1 SIGKILL", "how a process ended"),
    ("CLEAN", "no violation, and nothing was lost"),
    ("INCOMPLETE", "none seen, but not everything was seen"),
    ("lost", "what the kernel could not hand over"),
    ("behind", "what this screen has still to read"),
)


class Overlay(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", key_display="esc"),
        Binding("ctrl+c", "app.quit", "Quit", show=False, priority=True),
    ]


class DetailsScreen(Overlay):
    """The details pane over everything else."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self._document = document

    def compose(self) -> ComposeResult:
        yield DetailsPane(id="details")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        pane = self.query_one(DetailsPane)
        pane.border_title = "details"
        pane.show(self._document)
        pane.focus()


class HelpScreen(Overlay):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(_table(_KEYS), markup=False)
            yield Static(_table(_SIGNS), markup=False, id="signs")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "help"


def _table(lines: tuple[tuple[str, str], ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=20)
    table.add_column(ratio=1)
    for keys, meaning in lines:
        table.add_row(Text(keys, "bold"), Text(meaning))
    return table
