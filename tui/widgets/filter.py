"""The filter line, at the bottom while there is a filter: what is typed counts at once."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tracer.text import printable
from tracer.where import FIELDS

MAX_HISTORY = 100
_LAST_WORD = re.compile(r"[A-Za-z_@][\w.]*$")


class FieldNames(Suggester):
    """Goes on with the name of a field that is being typed; the right arrow takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=True, case_sensitive=True)
        self._names = [name for field in FIELDS for name in (*field.short, field.name)]

    async def get_suggestion(self, value: str) -> str | None:
        found = _LAST_WORD.search(value)
        if found is None or len(found[0]) < 2:
            return None
        name = next((name for name in self._names if name.startswith(found[0]) and name != found[0]), None)
        return f"{value[: found.start()]}{name}:" if name else None


class FilterInput(Input):
    """The screen listens; up and down go through what was asked before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.keep_filter", "Keep", key_display="⏎"),
        Binding("escape", "screen.back", "Clear", key_display="esc"),
        Binding("up", "older", "Earlier", key_display="↑"),
        Binding("down", "newer", "Later", show=False),
    ]

    def __init__(self, history: list[str], *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(
            id=id,
            compact=True,
            placeholder="exe:curl and dest.port:443 not path:/tmp/*  (? has more)",
            suggester=FieldNames(),
        )
        self.cursor_blink = False  # one redraw less twice a second, over a slow line too
        self._history = history
        self._place = len(history)

    def keep(self) -> None:
        """What is in the line goes into the history."""
        text = self.value.strip()
        if text:
            if text in self._history:
                self._history.remove(text)
            self._history.append(text)
            del self._history[:-MAX_HISTORY]
        self._place = len(self._history)

    def action_older(self) -> None:
        self._go(-1)

    def action_newer(self) -> None:
        self._go(1)

    def _go(self, by: int) -> None:
        place = self._place + by
        if 0 <= place <= len(self._history):
            self._place = place
            self.value = self._history[place] if place < len(self._history) else ""
            self.cursor_position = len(self.value)


class FilterBar(Horizontal):
    """The line, and at its right what it finds, or what is wrong with it."""

    def __init__(self, history: list[str], *, id: str = "filterbar") -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self._history = history

    def compose(self) -> ComposeResult:
        yield FilterInput(self._history, id="filter")
        yield Static(id="found", markup=False)

    @property
    def line(self) -> FilterInput:
        return self.query_one(FilterInput)

    def tell(self, words: str, *, wrong: bool = False) -> None:
        found = self.query_one("#found", Static)
        found.set_class(wrong, "wrong")
        found.update(printable(words))
