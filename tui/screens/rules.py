"""The rules screen: what is judged by, how often it hit, and what is wrong with the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Static

from tracer.control import Reply
from tracer.text import printable
from tui import describe
from tui.acts import Session, objection
from tui.details import Document, Section
from tui.fields import Field
from tui.ruleboard import RuleLine, from_session, from_trace, ordered
from tui.screens.base import SessionScreen
from tui.screens.overlay import DetailsScreen
from tui.snapshot import Snapshot
from tui.widgets.table import KeyedTable

REFRESH_SECONDS = 2.0
MAX_SOURCE_BYTES = 64 * 1024


class RulesScreen(SessionScreen):
    mode = "rules"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "Source", key_display="⏎"),
        Binding("t", "turn", "On/off"),
        Binding("L", "reload", "Reload"),
    ]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lines: dict[str, RuleLine] = {}
        self._problems: Sequence[str] = ()
        self._answered = False

    def compose_body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield KeyedTable("", "level", "rule", "hits", "time", "source", id="rules")
            yield Static(id="problems", markup=False)

    def on_mount(self) -> None:
        self._table.border_title = "rules"
        self.set_interval(REFRESH_SECONDS, self._refresh)
        self.focus_list()

    @property
    def _table(self) -> KeyedTable:
        return self.query_one(KeyedTable)

    def on_screen_resume(self) -> None:
        self._refresh()

    def focus_list(self) -> None:
        self.set_focus(self.query_one("#rules", Widget))

    def forget(self) -> None:
        super().forget()
        self._answered = False
        self._show(())

    def draw(self, snapshot: Snapshot) -> None:
        """The rules are asked for now and then."""

    def _refresh(self) -> None:
        if not self.is_active:
            return
        if objection(self.snapshot.summary, self.desk.trace):
            self._answered = False
            self._show(from_trace(self.desk.model.snapshot()))
        else:
            self._ask("rules", {})

    @work(thread=True, group="rules")
    def _ask(self, command: str, arguments: Mapping[str, Any]) -> None:
        if self.desk.trace is not None:
            reply = Session(self.desk.trace).do(command, arguments)
            self.app.call_from_thread(self.answered, command, reply)

    def answered(self, command: str, reply: Reply) -> None:
        if command != "rules":
            self.notify(
                reply.message or "done", severity="information" if reply.ok else "error", markup=False
            )
            self._refresh()
            return
        self._answered = reply.ok
        self._problems = [str(each) for each in reply.data.get("problems", ())]
        self._show(from_session(reply.data) if reply.ok else from_trace(self.desk.model.snapshot()))

    def _show(self, lines: Sequence[RuleLine]) -> None:
        self._lines = {line.id: line for line in ordered(lines)}
        table = self._table
        table.show_rows({line.id: _cells(line) for line in self._lines.values()})
        told = (
            "all of them"
            if self._answered
            else "those that were broken: only a live session knows the others"
        )
        table.border_subtitle = f"{describe.several(len(self._lines), 'rule')} · {told}"
        problems = self.query_one("#problems", Static)
        problems.display = bool(self._problems)
        problems.update(Text("\n".join(printable(each) for each in self._problems)))

    def selected_rule(self) -> RuleLine | None:
        return self._lines.get(self._table.selected_key)

    def on_data_table_row_selected(self, _message: DataTable.RowSelected) -> None:
        self.action_open_selected()

    def action_open_selected(self) -> None:
        line = self.selected_rule()
        if line is not None:
            self.app.push_screen(DetailsScreen(_document(line)))

    def action_turn(self) -> None:
        line = self.selected_rule()
        if line is not None:
            self._do("rule", {"id": line.id, "enabled": not line.enabled})

    def action_reload(self) -> None:
        self._do("reload", {})

    def _do(self, command: str, arguments: Mapping[str, Any]) -> None:
        if why := objection(self.snapshot.summary, self.desk.trace):
            self.notify(f"read-only: {why}", severity="warning", timeout=4)
        else:
            self._ask(command, arguments)


def _cells(line: RuleLine) -> tuple[Text, ...]:
    level = line.level
    return (
        Text("✓" if line.enabled else "off"),
        Text(f"{describe.LEVEL_MARKS[level]} {level.value}" if level else ""),
        Text(printable(line.name), "bold" if line.hits else ""),
        Text("" if line.hits is None else describe.number(line.hits), justify="right"),
        Text("" if line.spent_ns is None else f"{line.spent_ns / 1e6:,.1f} ms", justify="right"),
        Text(printable(line.source or line.kind)),
    )


def _document(line: RuleLine) -> Document:
    about = (
        Field("id", line.id),
        Field("level", line.level.value if line.level else ""),
        Field("kind", line.kind),
        Field("hits", "" if line.hits is None else describe.number(line.hits)),
        Field("from", line.source),
    )
    fields = tuple(field for field in about if field.value)
    text = _source_text(line.source)
    source = (Section("Source", tuple(Field("", each) for each in text)),) if text else ()
    return Document("rule", line.name, "", line.level, (Section("Rule", fields), *source))


def _source_text(source: str) -> Sequence[str]:
    """The file, when it can be read here; from the line of the rule on."""
    path, _colon, number = source.rpartition(":")
    start = int(number) - 1 if path and number.isdigit() else 0
    try:
        with open(path or source, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(MAX_SOURCE_BYTES).splitlines()[start:]
    except (OSError, ValueError):
        return ()
