"""The files screen: what was written, by whom, in the workspace and outside of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui import details, terms
from tui.screens.base import SessionScreen
from tui.screens.overlay import DetailsScreen
from tui.snapshot import FileRow, Snapshot
from tui.widgets.columns import ColumnHead
from tui.widgets.details import DetailsPane
from tui.widgets.file_tree import FileTree, files_head
from tui.widgets.rows import RowList


class FilesScreen(SessionScreen):
    mode = "files"

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="body"):
            with Vertical(id="main"):
                yield ColumnHead(files_head)
                yield FileTree(self._rows_of, id="files")
            yield DetailsPane(id="details")

    def on_mount(self) -> None:
        self.query_one("#files").border_title = "files"
        self.query_one("#details").border_title = "details"
        self.focus_list()

    def _rows_of(self, closed: frozenset[str]) -> Sequence[FileRow]:
        return self.desk.model.files(closed)

    def draw(self, snapshot: Snapshot) -> None:  # noqa: ARG002  the rows are asked for when they are shown
        self.query_one(FileTree).take()
        self._show_details()

    def _show_details(self) -> None:
        pane, row = self.query_one(DetailsPane), self.query_one(FileTree).selected
        if pane.display:
            pane.show(details.of_file(row) if row else details.of_session(self.snapshot.summary))

    def selected_moment(self) -> int:
        row = self.query_one(FileTree).selected
        return row.last_ns if row else 0

    def on_row_list_selected(self, _message: RowList.Selected) -> None:
        self._show_details()

    def on_row_list_opened(self, _message: RowList.Opened) -> None:
        row = self.query_one(FileTree).selected
        if row is None:
            return
        if not self.query_one(DetailsPane).display:
            self.app.push_screen(DetailsScreen(details.of_file(row)))
            return
        self.rubicon.show_filtered(terms.added("", terms.of_file(row)[0], exclude=False))
