"""The titles above a list's columns."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import Part

_BORDER_CELLS = 2
_SCROLLBAR_CELLS = 1


class ColumnHead(Widget):
    """`draw(width)` gives the titles for a list of that inner width."""

    DEFAULT_CSS = "ColumnHead { height: 1; }"

    def __init__(self, draw: Callable[[int], list[Part]]) -> None:
        super().__init__()
        self._draw = draw

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  there is one
        width = max(0, self.size.width - _BORDER_CELLS - _SCROLLBAR_CELLS)
        segments = [Segment(" "), *(Segment(text) for text, _style in self._draw(width))]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)
