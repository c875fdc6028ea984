"""A list of rows drawn by the line: what all panes but the details are made of.

Only the lines on the screen are drawn, whatever the number of rows, and drawn lines are kept until the row,
the width or the selection changes. A subclass says how a row looks.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.cells import Part, Shown, cells, fit
from tui.terms import Term

Row = TypeVar("Row")

_COPIED_CELLS = 4_000


class RowList(ScrollView, Generic[Row], can_focus=True):
    """Rows of `row_height` lines with one selected. Subclasses define `key` and `draw`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("enter", "open", "Details", key_display="⏎"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dim", "strong", "cursor", "guide", "process", "network", "file", "failed", "good", "note",
        "critical", "high", "medium", "low", "informational",
    }  # fmt: skip
    DEFAULT_CSS = "RowList { overflow-x: hidden; scrollbar-size-vertical: 1; }"

    row_height: ClassVar[int] = 1
    empty_text: str = ""

    class Selected(Message):
        """Another row is selected, or the selected one changed."""

        def __init__(self, sender: RowList[Any]) -> None:
            super().__init__()
            self.sender = sender

    class Opened(Message):
        """Enter or a double click on the selected row."""

        def __init__(self, sender: RowList[Any]) -> None:
            super().__init__()
            self.sender = sender

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.cursor = 0
        self._drawn: LRUCache[Hashable, Strip] = LRUCache(512)

    # What a subclass defines

    def key(self, row: Row) -> Hashable:
        """Tells a row from others, over snapshots."""
        raise NotImplementedError

    def version(self, row: Row) -> Hashable:
        """Tells how a row looks: what was drawn before is used again as long as it is equal."""
        raise NotImplementedError

    def draw(self, row: Row, line: int, width: int) -> list[Part]:
        """One line of a row; the parts together are at most `width` cells wide."""
        raise NotImplementedError

    def copied(self, row: Row) -> str:
        """What `y` puts on the clipboard."""
        return "".join(text for text, _style in self.draw(row, 0, _COPIED_CELLS)).strip()

    def terms(self, row: Row) -> Sequence[Term]:
        """What one may filter by, the likeliest first."""
        raise NotImplementedError

    def is_marked(self, row: Row) -> bool:
        """Whether `n` and `N` stop at it."""
        raise NotImplementedError

    # Rows and selection

    @property
    def selected(self) -> Row | None:
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these. The selection stays on its row, and that row where it is on the screen."""
        if rows is self.rows:
            return
        before, old = self.selected, self.cursor
        self.rows = rows
        self.cursor = self._find(before)
        self._resize()
        if self.cursor != old and self.scroll_offset.y > 0:
            self._jump_to(self.scroll_offset.y + (self.cursor - old) * self.row_height)
        self.refresh()
        if self.selected is not before:
            self.post_message(self.Selected(self))

    def _find(self, before: Row | None) -> int:
        if before is not None:
            wanted = self.key(before)
            for index, row in enumerate(self.rows):
                if self.key(row) == wanted:
                    return index
        return max(0, min(self.cursor, len(self.rows) - 1))

    def select(self, index: int) -> None:
        """Select the row at `index`, or the nearest there is, and bring it into view."""
        index = max(0, min(index, len(self.rows) - 1))
        self.cursor = index
        self.refresh()
        self._show_cursor()
        self.post_message(self.Selected(self))

    def _show_cursor(self) -> None:
        top, height = self.cursor * self.row_height, self._page_lines
        offset = self.scroll_offset.y
        if top < offset:
            self._jump_to(top)
        elif top + self.row_height > offset + height:
            self._jump_to(top + self.row_height - height)

    @property
    def _page_lines(self) -> int:
        return max(self.row_height, self.scrollable_content_region.height)

    def _jump_to(self, line: int) -> None:
        self.scroll_to(y=max(0, line), animate=False, force=True)

    def _resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self.rows) * self.row_height)

    def forget(self) -> None:
        """Another session is shown from now on."""
        self.rows = ()
        self.cursor = 0
        self.border_subtitle = ""
        self._drawn.clear()
        self._resize()
        self.refresh()

    def jump(self, direction: int) -> bool:
        """Select the next marked row, +1, or the one before, -1; false when there is none."""
        at = self.cursor + direction
        while 0 <= at < len(self.rows):
            if self.is_marked(self.rows[at]):
                self.select(at)
                return True
            at += direction
        return False

    # Keys and mouse

    def action_move(self, rows: int) -> None:
        self.select(self.cursor + rows)

    def action_page(self, direction: int) -> None:
        self.select(self.cursor + direction * max(1, self._page_lines // self.row_height - 1))

    def action_first(self) -> None:
        self.select(0)

    def action_last(self) -> None:
        self.select(len(self.rows) - 1)

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = (offset.y + self.scroll_offset.y) // self.row_height
        if 0 <= index < len(self.rows):
            self.select(index)
            if event.chain == 2:
                self.action_open()

    # Drawing

    def on_resize(self, _event: events.Resize) -> None:
        self._resize()
        self._show_cursor()

    def notify_style_update(self) -> None:
        self._drawn.clear()
        super().notify_style_update()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if not self.rows:
            return self._empty_line(y, width)
        index, line = divmod(y + self.scroll_offset.y, self.row_height)
        if index >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        row, marked = self.rows[index], index == self.cursor and self.marks_cursor
        key = (self.key(row), self.version(row), line, width, marked, self.has_focus)
        strip = self._drawn.get(key)
        if strip is None:
            strip = self._drawn[key] = self._strip(self.draw(row, line, width), width, marked)
        return strip

    @property
    def marks_cursor(self) -> bool:
        """Whether the selected row is drawn as such."""
        return True

    def _strip(self, parts: Sequence[Part], width: int, marked: bool) -> Strip:
        base = self.rich_style
        if marked:
            base += self.get_component_rich_style("cursor", partial=True)
        segments = [Segment(text, base + self._style(name)) for text, name in parts]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True) if name else Style.null()

    def _empty_line(self, y: int, width: int) -> Strip:
        middle = max(0, self.scrollable_content_region.height // 2 - 1)
        if y != middle:
            return Strip.blank(width, self.rich_style)
        text = fit(self.empty_text, min(width, len(self.empty_text)))
        left = Shown(" " * ((width - cells(text)) // 2))
        return self._strip([(left, ""), (text, "dim")], width, marked=False)
