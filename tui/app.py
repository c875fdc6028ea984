"""The application: one model, one feed, one screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from textual.app import App
from textual.message import Message
from textual.theme import Theme

from tui.feed import Feed, Source, TraceSource
from tui.model import Model
from tui.screens.live import LiveScreen

# Levels are told apart by shape and word first; the colours are from Okabe and Ito's set, made lighter, which
# people with the usual kinds of colour blindness can tell apart. On a light background they are darker.
DARK = Theme(
    name="rubicon",
    primary="#7aa2d6",
    secondary="#56b4e9",
    accent="#e5c07b",
    foreground="#d5d9e0",
    background="#101318",
    surface="#101318",
    panel="#1a1f27",
    success="#4cc9a0",
    warning="#e8b04a",
    error="#ff6b5e",
    variables={
        "level-critical": "#ff5f87", "level-high": "#ff8c42", "level-medium": "#f0d95c",
        "level-low": "#6cb8f0", "level-informational": "#9aa4b2",
        "family-process": "#7fc8a9", "family-network": "#d7a3e0", "family-file": "#8fb4e0",
        "quiet": "#7f8a99", "line": "#39424f", "marked": "#22344d",
    },
)  # fmt: skip
LIGHT = Theme(
    name="rubicon-light",
    primary="#2f5f9e",
    secondary="#0072b2",
    accent="#8a5a00",
    foreground="#1d232b",
    background="#fbfbf9",
    surface="#fbfbf9",
    panel="#eceef0",
    success="#00734d",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
    variables={
        "level-critical": "#b0003a", "level-high": "#b34700", "level-medium": "#7a6200",
        "level-low": "#00619e", "level-informational": "#5b6570",
        "family-process": "#00694b", "family-network": "#7d3c8c", "family-file": "#2f5f9e",
        "quiet": "#626c78", "line": "#c3c9d0", "marked": "#d3e2f5",
    },
)  # fmt: skip


class RubiconApp(App[None]):
    """Shows `model`; with a `source`, feeds it from there as long as the screen is open."""

    TITLE = "rubicon"
    CSS_PATH = ["styles/live.tcss", "styles/overlay.tcss"]  # noqa: RUF012  Textual declares it so

    class Violated(Message):
        """Posted by the feed's thread; there is one in the queue at most."""

    def __init__(self, model: Model, source: Source | None = None) -> None:
        super().__init__()
        self._model = model
        self._feed = Feed(source, model.add, self._say_violated) if source else None
        self._said = False
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name
        self.live = LiveScreen(model)

    async def on_mount(self) -> None:
        await self.push_screen(self.live)
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):  # a closed window, too, gets its terminal back
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
        if self._feed:
            self._feed.start()

    def on_unmount(self) -> None:
        if self._feed:
            self._feed.stop()

    def _say_violated(self) -> None:
        if not self._said:
            self._said = True
            self.post_message(self.Violated())

    def on_rubicon_app_violated(self) -> None:
        self._said = False
        self.live.tick_soon()


def watch(trace: Path) -> int:
    """The screen on a trace that grows or is finished, until the user quits. Returns an exit status.

    Raises TraceError when the file is not a trace.
    """
    app = RubiconApp(Model(), TraceSource(trace))
    # While the feed catches up it never sleeps; with Python's 5 ms a key took more than 0.3 s.
    sys.setswitchinterval(0.001)
    app.run()
    return app.return_code or 0
