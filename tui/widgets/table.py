"""A table whose rows have keys: those that stay are changed in place, and the cursor stays on its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.widgets import DataTable

Cells = Sequence[Text]


class KeyedTable(DataTable[Text]):
    def __init__(self, *columns: str, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id, cursor_type="row")
        self._titles = columns
        self._shown: Mapping[str, Cells] = {}

    def on_mount(self) -> None:
        self.add_columns(*self._titles)

    def show_rows(self, rows: Mapping[str, Cells]) -> None:
        """These, by key and in this order."""
        before = self.selected_key
        if list(rows) != list(self._shown):
            self.clear()
            for key, cells in rows.items():
                self.add_row(*cells, key=key)
            if before in rows:
                self.move_cursor(row=list(rows).index(before))
        else:
            for key, cells in rows.items():
                self._change(key, cells)
        self._shown = dict(rows)

    def _change(self, key: str, cells: Cells) -> None:
        for column, cell, before in zip(self.ordered_columns, cells, self._shown[key], strict=True):
            if cell != before:
                self.update_cell(key, column.key, cell, update_width=True)

    @property
    def selected_key(self) -> str:
        """Empty without rows."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else ""
