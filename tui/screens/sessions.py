"""The sessions screen: live and finished ones, and how to start one when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Static

from tracer.text import printable
from tracer.trace import StoredSession, default_folder, stored_sessions
from tui import describe
from tui.screens.base import SessionScreen
from tui.snapshot import Snapshot
from tui.widgets.table import KeyedTable

REFRESH_SECONDS = 2.0
MAX_LISTED = 500
HINT = """There is no session yet. To start one:

    rubicon run -- my-agent              a command and all that it starts
    rubicon attach docker:web pid:42     what runs already

It appears here by itself. What is watched leaves a trace, which can be looked at later:

    rubicon watch FILE
"""


class SessionsScreen(SessionScreen):
    mode = "sessions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "Open", key_display="⏎"),
        Binding("r", "refresh", "Refresh", show=False),
    ]

    def compose_body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield Static(Text(HINT), id="hint", markup=False)
            yield KeyedTable("", "started", "session", "size", "what", id="sessions")

    def on_mount(self) -> None:
        self._table.border_title = "sessions"
        self.set_interval(REFRESH_SECONDS, self.action_refresh)
        self.focus_list()

    @property
    def _table(self) -> KeyedTable:
        return self.query_one(KeyedTable)

    def on_screen_resume(self) -> None:
        self.action_refresh()

    def focus_list(self) -> None:
        self.set_focus(self.query_one("#sessions", Widget))

    def draw(self, snapshot: Snapshot) -> None:
        """The sessions are read by a thread, now and then."""

    def action_refresh(self) -> None:
        if self.is_active:
            self._read()

    @work(thread=True, exclusive=True, group="sessions")
    def _read(self) -> None:
        found = stored_sessions()[:MAX_LISTED]
        self.app.call_from_thread(self.show_sessions, found)

    def show_sessions(self, sessions: Sequence[StoredSession]) -> None:
        """Show these; the cursor stays on its session."""
        table = self._table
        self.query_one("#hint").display = not sessions
        table.display = bool(sessions)
        table.border_subtitle = printable(str(default_folder()))
        several = len({each.session.get("host") for each in sessions}) > 1
        table.show_rows({str(each.path): self._cells(each, several_hosts=several) for each in sessions})

    def _cells(self, session: StoredSession, *, several_hosts: bool) -> tuple[Text, ...]:
        record = session.session
        start_ns = record.get("start_ns")
        started = describe.full_time(start_ns)[:19] if isinstance(start_ns, int) else ""
        named = record.get("command") or record.get("targets")
        what = " ".join(map(str, named)) if isinstance(named, list) else ""
        if several_hosts:
            what = f"{record.get('host') or '?'}: {what}"
        mark = "● live" if session.live else "■"
        here = " ←" if session.path == self.desk.trace else ""
        return (
            Text(mark, "bold" if session.live else "dim"),
            Text(started),
            Text(printable(session.id) + here, "bold" if session.live else ""),
            Text(describe.byte_size(session.size_bytes), justify="right"),
            Text(printable(what[:200])),
        )

    def on_data_table_row_selected(self, _message: DataTable.RowSelected) -> None:
        self.action_open_selected()

    def action_open_selected(self) -> None:
        if key := self._table.selected_key:
            self.rubicon.open_session(Path(key))
