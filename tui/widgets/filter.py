"""The filter line, at the bottom while there is a filter."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class FilterInput(Input):
    """What is typed counts at once; the screen listens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep", key_display="⏎"),
        Binding("escape", "screen.back", "Clear", key_display="esc"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id, compact=True, placeholder="words to look for, !word to leave out")
