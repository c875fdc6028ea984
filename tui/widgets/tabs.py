"""The line of screens, with the keys that lead there; at the right edge what holds for all of them."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import describe
from tui.cells import Part, cells, clip, parts_cells, shown, spread
from tui.snapshot import Pace, Summary

SCREENS = (
    ("1", "live", "Live"),
    ("2", "network", "Network"),
    ("3", "files", "Files"),
    ("4", "rules", "Rules"),
    ("5", "timeline", "Timeline"),
    ("6", "sessions", "Sessions"),
)
COMMAND = ("0", "command", "Command")  # only with `rubicon run --tui`
_PACES = {Pace.PLAYING: "▶", Pace.PAUSED: "‖", Pace.SEEKING: "»", Pace.ENDED: "■"}


class ScreenTabs(Widget):
    COMPONENT_CLASSES: ClassVar[set[str]] = {"dim", "here", "strong", "note"}

    class Chosen(Message):
        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, here: str, *, with_command: bool = False, id: str = "tabs") -> None:  # noqa: A002
        super().__init__(id=id)
        self._here = here
        self._screens = (COMMAND, *SCREENS) if with_command else SCREENS
        self._right: list[Part] = []

    def show(self, summary: Summary) -> None:
        right = standing(summary)
        if right != self._right:
            self._right = right
            self.refresh()

    def parts(self) -> list[Part]:
        found: list[Part] = []
        for key, mode, title in self._screens:
            here = mode == self._here
            found += [
                (shown(f" {key} "), "here" if here else "dim"),
                (shown(f"{title} "), "here" if here else "strong"),
                (shown(" "), ""),
            ]
        return found

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  there is one
        width = self.size.width
        room = max(0, width - parts_cells(self.parts()))
        right = self._right if parts_cells(self._right) <= room else _clipped(self._right, room)
        segments = [
            Segment(text, self.get_component_rich_style(style, partial=True) if style else None)
            for text, style in spread(self.parts(), right, width)
        ]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        start = 0
        found = self.parts()
        for number, (_key, mode, _title) in enumerate(self._screens):
            end = start + sum(cells(text) for text, _style in found[3 * number : 3 * number + 3])
            if start <= event.x < end:
                self.post_message(self.Chosen(mode))
                return
            start = end


def standing(summary: Summary) -> list[Part]:
    """The replay with its speed and time, or why nothing can be done here."""
    if replay := summary.replay:
        when = describe.clock_time(replay.now_ns) if replay.now_ns else ""
        return [(shown(f" replay {_PACES[replay.pace]} {replay.speed:g}x {when} "), "note")]
    if summary.read_only:
        return [(clip(f" read-only: {summary.read_only} ", 60), "dim")]
    return []


def _clipped(parts: list[Part], room: int) -> list[Part]:
    return [(clip(text, room), style) for text, style in parts[:1]]
