"""The command's terminal in a pane. Keys are the screen's until somebody wants to type into it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.terminal import CommandTerminal

LEAVE_KEY = "ctrl+right_square_bracket"
LEAST_GAP_SECONDS = 0.03  # between two drawings


class TerminalPane(Widget, can_focus=True):
    class Output(Message):
        """The command has written something; there is one in the queue at most."""

    def __init__(self, terminal: CommandTerminal, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.typing = False
        self._terminal = terminal
        self._drawn_at = 0.0
        self._waiting = False
        self._said = False

    def on_mount(self) -> None:
        self.border_title = "command"
        self._label()
        self._terminal.start(self._say_output)

    def on_resize(self) -> None:
        self._terminal.resize(self.content_size.width, self.content_size.height)

    # Output

    def _say_output(self) -> None:
        """Called by the reading thread."""
        if not self._said:
            self._said = True
            self.post_message(self.Output())

    def on_terminal_pane_output(self) -> None:
        """Drawn at once, unless that was done just before."""
        self._said = False
        if self._terminal.ended and self.typing:
            self._leave()
        gap = LEAST_GAP_SECONDS - (time.monotonic() - self._drawn_at)
        if gap <= 0:
            self._draw_now()
        elif not self._waiting:
            self._waiting = True
            self.set_timer(gap, self._draw_now)

    def _draw_now(self) -> None:
        self._waiting = False
        self._drawn_at = time.monotonic()
        self._label()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        strip = Strip(self._terminal.line(y, cursor=self.typing))
        return strip.adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    # Typing

    def begin(self) -> None:
        self.typing = not self._terminal.ended
        self.focus()
        self.set_class(self.typing, "-typing")
        self._label()

    def _leave(self) -> None:
        self.typing = False
        self.set_class(False, "-typing")
        self._label()

    def _label(self) -> None:
        if self._terminal.ended:
            self.border_subtitle = "the command has ended"
        elif self.typing:
            self.border_subtitle = "every key goes to the command · ctrl+] takes them back"
        else:
            self.border_subtitle = "i types into it"
        self.refresh()

    def on_blur(self) -> None:
        self._leave()

    async def on_key(self, event: events.Key) -> None:
        if not self.typing:
            if event.key in ("pageup", "pagedown"):
                event.stop()
                self._terminal.scroll(1 if event.key == "pagedown" else -1)
                self.refresh()
            return
        event.stop()
        event.prevent_default()
        if event.key == LEAVE_KEY or self._terminal.ended:
            self._leave()
        else:
            self._terminal.send(event.key, event.character)

    def on_paste(self, event: events.Paste) -> None:
        if self.typing:
            event.stop()
            self._terminal.write(event.text)

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """While somebody types, no key is a command of the screen."""
        return self.typing
