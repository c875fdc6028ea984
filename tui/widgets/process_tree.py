"""The process tree: who started whom, who is gone, and where in it the violations are."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui import describe
from tui.cells import Part, cells, fit, fit_right, shown, spread
from tui.snapshot import ProcessRow, Snapshot
from tui.widgets.rows import RowList

_MAX_GUIDES = 12  # deeper levels are drawn at this depth: the name must stay readable
_BADGE_WIDTH = 4
_BRANCHES = {"│": "│ ", " ": "  ", "├": "├─", "└": "└─"}


class ProcessTree(RowList[ProcessRow]):
    """Left closes a subtree, right opens it; what is closed is kept here, as it is nobody else's business."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold", "Close", show=False),
        Binding("right,l", "unfold", "Open", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.empty_text = "no processes yet"
        self._all: Sequence[ProcessRow] = ()
        self._shut: frozenset[str] = frozenset()
        self._pid_width = 0

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.processes is self._all:
            return
        self._all = snapshot.processes
        self._pid_width = max((len(str(row.process.pid)) for row in self._all), default=0)
        self.set_rows(self._open_rows())
        gone = f" · {describe.number(snapshot.folded)} exited not shown" if snapshot.folded else ""
        self.border_subtitle = describe.several(len(self._all), "process") + gone

    def _open_rows(self) -> Sequence[ProcessRow]:
        return tuple(open_rows(self._all, self._shut)) if self._shut else self._all

    def action_fold(self) -> None:
        """Close the subtree; on a closed one or a leaf, go to the parent."""
        row = self.selected
        if row is None:
            return
        entity_id = row.process.entity_id
        if row.children and entity_id not in self._shut:
            self._set_shut(self._shut | {entity_id})
        else:
            self._select_parent(row)

    def action_unfold(self) -> None:
        if self.selected is not None:
            self._set_shut(self._shut - {self.selected.process.entity_id})

    def _set_shut(self, closed: frozenset[str]) -> None:
        self._shut = closed
        self.set_rows(self._open_rows())
        self.refresh()

    def _select_parent(self, row: ProcessRow) -> None:
        for index in range(self.cursor - 1, -1, -1):
            if len(self.rows[index].guides) < len(row.guides):
                self.select(index)
                return

    def key(self, row: ProcessRow) -> Hashable:
        return row.process.entity_id

    def version(self, row: ProcessRow) -> Hashable:
        look = (row.guides, row.children, row.exit, row.level, row.violations)
        return id(row.process), look, self._pid_width, row.process.entity_id in self._shut

    def draw(self, row: ProcessRow, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        closed = row.process.entity_id in self._shut
        return process_line(row, width, closed=closed, pid_width=self._pid_width)


def open_rows(rows: Sequence[ProcessRow], closed: frozenset[str]) -> Iterator[ProcessRow]:
    """The rows that are not below a closed one."""
    depth: int | None = None
    for row in rows:
        if depth is not None and len(row.guides) > depth:
            continue
        depth = len(row.guides) if row.process.entity_id in closed else None
        yield row


def process_line(row: ProcessRow, width: int, *, closed: bool = False, pid_width: int = 7) -> list[Part]:
    """Pid, guides, program and arguments; at the right edge how it ended and what it broke."""
    right = [*_ending(row), *_badge(row)]
    guides = "".join(_BRANCHES[guide] for guide in row.guides[-_MAX_GUIDES:])
    hidden = f"[+{row.children}] " if closed and row.children else ""
    left: list[Part] = [
        (fit_right(str(row.process.pid), pid_width), "dim"),
        (shown(f" {guides}"), "guide"),
        (shown(hidden), "note"),
    ]
    room = width - sum(cells(text) for text, _style in [*left, *right])
    return spread([*left, *_program(row, max(0, room))], right, width)


def _program(row: ProcessRow, room: int) -> list[Part]:
    """The name in full, the arguments as far as there is room."""
    name, arguments = describe.program(row.process)
    style = "dim" if row.exit else ""
    name_width = min(room, cells(shown(name[: room + 1])))
    return [(fit(name, name_width), style or "strong"), (fit(f" {arguments}", room - name_width), "dim")]


def _ending(row: ProcessRow) -> list[Part]:
    if row.exit is None:
        return []
    if row.exit.signal:
        return [(shown(f" {describe.signal_name(row.exit.signal)}"), "failed")]
    return [(shown(f" ={row.exit.code}"), "failed")] if row.exit.code else [(shown(" ✓"), "dim")]


def _badge(row: ProcessRow) -> list[Part]:
    """In a column of its own, empty or not."""
    if row.level is None:
        return [(fit("", _BADGE_WIDTH), "")]
    badge = f"{describe.LEVEL_MARKS[row.level]}{row.violations if row.violations < 1000 else '…'}"
    return [(fit_right(badge, _BADGE_WIDTH), row.level.value)]
