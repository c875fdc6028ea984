"""What lies over a screen for a moment: details where there is no room for a pane, and the help."""

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
    ("1 2 3 4 5 6", "live, network, files, rules, timeline, sessions"),
    (":", "every command, by name"),
    ("p v e   tab", "processes, violations, events; next pane"),
    ("↑ ↓ pgup pgdn home", "move; in the events this stops the stream"),
    ("← →", "close and open a subtree; in the timeline, move"),
    ("enter", "details; of a peer or file, its events"),
    ("backspace", "back to the filter or the screen before"),
    ("esc", "out of the filter, the zoom, the details"),
    ("space end", "stop the stream, follow it again"),
    ("n N", "next and previous line that is marked"),
    ("m", "the moment of what is selected, in the stream"),
    ("a A", "this violation is seen; all that are shown"),
    ("o", "processes that have ended, too"),
    ("z", "one pane on the whole screen, and back"),
    ("y", "copy the selected line"),
    ("q", "quit; what is watched goes on"),
)
_FILTERING = (
    ("/", "filter; ↑ ↓ what was asked before"),
    ("f x", "only a value of the selected line, or not that"),
    ("exe:curl", "a field and its value; * is anything"),
    ("port:80,443", "one of several; port:1..1023; level>=high"),
    ("ip:10.0.0.0/8", "a network; path~cache: a part of it"),
    ("not a (b or c)", "and, or, not, brackets"),
    ("fields", "action exe name pid cmd parent path ip port domain protocol user error rule level …"),
)
_ACTING = (
    ("F T", "freeze all that is watched, let it go on"),
    ("K X", "kill the selected process; all that is watched"),
    ("D P", "deny this peer; add to the policy"),
    ("E W", "export what passes the filter; write a report"),
    ("R", "replay a finished trace; then"),
    ("space . >", "pause, one event, up to the next violation"),
    ("[ ]", "slower, faster"),
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
            for title, lines in (
                ("Keys", _KEYS),
                ("Filter", _FILTERING),
                ("Acts and replay", _ACTING),
                ("Signs", _SIGNS),
            ):
                yield Static(Text(title, "bold underline"), markup=False, classes="title")
                yield Static(_table(lines), markup=False)
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
