"""The header: what is watched, what can be said of it, and how much of it was seen."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui import describe
from tui.cells import Part, clip, parts_cells, shown, spread
from tui.snapshot import State, Summary, Verdict

_VERDICT_MARKS = {Verdict.CLEAN: "✓", Verdict.VIOLATED: "◆", Verdict.INCOMPLETE: "?"}
_STATE_MARKS = {
    State.OPENING: ("…", "dim"),
    State.LIVE: ("●", "good"),
    State.FINISHED: ("■", "dim"),
    State.CUT: ("✂", "failed"),
    State.DAMAGED: ("✗", "failed"),
}
_LEAST_LAG_BYTES = 64 * 1024  # less is the block that is being read


class SessionHeader(Widget):
    """Two lines, and a third when the session has something to say."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dim", "strong", "good", "failed", "note",
        "critical", "high", "medium", "low", "informational",
        "clean", "violated", "incomplete",
    }  # fmt: skip

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.summary = Summary()

    def show(self, summary: Summary) -> None:
        if summary == self.summary:
            return
        grew = bool(summary.notice) != bool(self.summary.notice)
        self.summary = summary
        self.refresh(layout=grew)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return 3 if self.summary.notice else 2

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        draw = (title_line, numbers_line, notice_line)[min(y, 2)]
        segments = [
            Segment(text, self.get_component_rich_style(style, partial=True) if style else None)
            for text, style in draw(self.summary, width)
        ]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


def title_line(summary: Summary, width: int) -> list[Part]:
    """Verdict and target; at the right edge session, duration and state."""
    session = summary.session
    badge = _badge(summary)
    mark, style = _STATE_MARKS[summary.state]
    right: list[Part] = [
        (shown(f"  {describe.duration(summary.duration_ns)} "), "strong"),
        (shown(f" {mark} {summary.state.value} "), style),
    ]
    if session.id and width >= 100:
        right.insert(0, (clip(f"  session {session.id}", width // 3), "dim"))
    room = max(0, width - parts_cells([badge, *right]) - 1)
    title = " ".join(session.command) or session.target or "waiting for the session record"
    return spread([badge, (shown(" "), ""), (clip(title, room), "strong")], right, width)


def _badge(summary: Summary) -> Part:
    """The verdict; none before anything was read."""
    if summary.state is State.OPENING:
        return shown(" RUBICON "), "note"
    verdict = summary.verdict
    return shown(f" {_VERDICT_MARKS[verdict]} {verdict.value.upper()} "), verdict.value


def numbers_line(summary: Summary, width: int) -> list[Part]:
    """Violations by level; at the right edge events, rate, losses and lag."""
    right: list[Part] = [
        (shown(f"{describe.number(summary.events)} events"), ""),
        (shown(f"  {describe.number(summary.events_per_s)}/s"), "dim"),
        *_losses(summary),
        *_lag(summary),
        (shown(" "), ""),
    ]
    left = [(shown(" "), ""), *_violations(summary, words=True)]
    if parts_cells([*left, *right]) > width:
        left = [(shown(" "), ""), *_violations(summary, words=False)]
    return spread(left, right, width)


def _violations(summary: Summary, *, words: bool) -> list[Part]:
    if not summary.violations:
        return [(shown("no violations"), "dim")]
    return [
        (shown(f"{describe.LEVEL_MARKS[level]} {count:,} {level.value if words else ''}  "), level.value)
        for level, count in summary.violations.items()
    ]


def _losses(summary: Summary) -> list[Part]:
    losses = summary.losses
    if not losses.total:
        return [(shown("  0 lost"), "dim")]
    return [(shown(f"  ! {describe.number(losses.total)} lost"), "failed")]


def _lag(summary: Summary) -> list[Part]:
    if summary.lag_bytes < _LEAST_LAG_BYTES:
        return [(shown("  no lag"), "dim")]
    return [(shown(f"  {describe.byte_size(summary.lag_bytes)} behind"), "note")]


def notice_line(summary: Summary, width: int) -> list[Part]:
    return spread([(shown(" ! "), "failed"), (clip(summary.notice, width - 4), "note")], [], width)
