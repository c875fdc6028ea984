"""The header: what is watched, what can be said of it, how much of it was seen, and how busy it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui import describe
from tui.cells import Part, Shown, clip, parts_cells, shown, spread
from tui.snapshot import Family, State, Summary, Verdict

_VERDICT_MARKS = {Verdict.CLEAN: "✓", Verdict.VIOLATED: "◆", Verdict.INCOMPLETE: "?"}
_STATE_MARKS = {
    State.OPENING: ("…", "dim"),
    State.LIVE: ("●", "good"),
    State.FINISHED: ("■", "dim"),
    State.CUT: ("✂", "failed"),
    State.DAMAGED: ("✗", "failed"),
}
_LEAST_LAG_BYTES = 64 * 1024  # less is the block that is being read
_SPARKS = "▁▂▃▄▅▆▇█"
_FAMILIES = (
    (Family.PROCESS, "process", "proc", "process"),
    (Family.NETWORK, "network", "net", "network"),
    (Family.FILES, "files", "files", "file"),
)
_WIDE = 100
_LONGEST_SPARK = 30


class SessionHeader(Widget):
    """Three lines, and a fourth when the session has something to say."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dim", "strong", "good", "failed", "note",
        "critical", "high", "medium", "low", "informational",
        "process", "network", "file",
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
        return 4 if self.summary.notice else 3

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        draw = (title_line, numbers_line, pulses_line, notice_line)[min(y, 3)]
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
    state = summary.state.value
    if summary.progress is not None:
        state = f"reading {summary.progress:.0%}"
    right: list[Part] = [
        (shown(f"  {describe.duration(summary.duration_ns)} "), "strong"),
        (shown(f" {mark} {state} "), style),
    ]
    if session.id and width >= _WIDE:
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
    if summary.lag_bytes < _LEAST_LAG_BYTES or summary.replay is not None:
        return [(shown("  no lag"), "dim")]
    return [(shown(f"  {describe.byte_size(summary.lag_bytes)} behind"), "note")]


def pulses_line(summary: Summary, width: int) -> list[Part]:
    """For each family a line of its last seconds and its rate; at the right edge what the engine takes."""
    right: list[Part] = []
    if engine := summary.engine:
        cpu, memory = f"{engine.cpu_percent:.0f}%", describe.byte_size(engine.memory_bytes)
        right = [(shown(f"  engine {cpu} cpu {memory} " if width >= _WIDE else f"  {cpu} {memory} "), "dim")]
    wide = width >= _WIDE
    labels = [(long if wide else short) for _family, long, short, _style in _FAMILIES]
    rates = [f"{describe.number(_per_s(summary, family))}/s" for family, *_ in _FAMILIES]
    taken = parts_cells(right) + sum(len(label) for label in labels) + 3 * (7 if not wide else 8) + 3 * 3
    spark_cells = max(0, min(_LONGEST_SPARK, (width - taken) // len(_FAMILIES)))
    left: list[Part] = []
    for (family, _long, _short, style), label, rate in zip(_FAMILIES, labels, rates, strict=True):
        pulse = summary.pulses.get(family)
        counts = pulse.counts if pulse else ()
        left += [
            (shown(f" {label} "), "dim"),
            (sparkline(counts, spark_cells), style),
            (shown(f" {rate:<7}"), ""),
        ]
    return spread(left, right, width)


def _per_s(summary: Summary, family: Family) -> int:
    pulse = summary.pulses.get(family)
    return pulse.per_s if pulse else 0


def sparkline(counts: Sequence[int], width: int) -> Shown:
    """The last `width` counts as bars, the highest of them full; nothing at all is the lowest bar."""
    if width <= 0:
        return Shown("")
    last = list(counts[-width:])
    last = [0] * (width - len(last)) + last
    most = max(last, default=0)
    steps = len(_SPARKS) - 1
    return Shown("".join(_SPARKS[-(-count * steps // most) if most else 0] for count in last))


def notice_line(summary: Summary, width: int) -> list[Part]:
    return spread([(shown(" ! "), "failed"), (clip(summary.notice, width - 4), "note")], [], width)
