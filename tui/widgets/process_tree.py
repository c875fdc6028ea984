"""The process tree: who started whom, who is gone, and where in it the violations are."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui import describe, terms
from tui.cells import Part, cells, fit, fit_right, shown, spread
from tui.snapshot import ProcessRow, Snapshot, Vitals
from tui.terms import Term
from tui.widgets.tree import TreeList, guide_part

_BADGE_WIDTH = 4
_WITH_VITALS = 50  # from this width on there is room for age, CPU and memory
FOLD_AFTER_NS = 30_000_000_000  # how long one that has ended stays, when nothing is wrong with it


class ProcessTree(TreeList[ProcessRow]):
    """What has ended a while ago, with all it started, and broke no rule, is folded into its parent; `o`
    shows it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "show_ended", "Show ended", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.empty_text = "no processes yet"
        self.shows_ended = False
        self._all: Sequence[ProcessRow] = ()
        self._pid_width = 0
        self._now_ns = 0
        self._folded = 0
        self._vitals: Mapping[str, Vitals] = {}
        self._ended_below: Mapping[str, int] = {}

    def show(self, snapshot: Snapshot) -> None:
        second = snapshot.summary.now_ns // 1_000_000_000
        if (
            snapshot.processes is self._all
            and snapshot.vitals is self._vitals
            and second == self._now_ns // 1_000_000_000
        ):
            return
        self._all, self._vitals, self._now_ns = snapshot.processes, snapshot.vitals, snapshot.summary.now_ns
        self._folded = snapshot.folded
        self._pid_width = max((len(str(row.process.pid)) for row in self._all), default=0)
        self.take()
        self.refresh()

    def take(self) -> None:
        rows, self._ended_below = self._all, {}
        if not self.shows_ended:
            rows, self._ended_below = without_ended(self._all, self._now_ns - FOLD_AFTER_NS)
        self.set_rows(tuple(open_rows(rows, self.shut)) if self.shut else rows)
        hidden = self._folded + sum(self._ended_below.values())
        gone = f" · {describe.number(hidden)} ended not shown" if hidden else ""
        self.border_subtitle = describe.several(len(self._all), "process") + gone

    def forget(self) -> None:
        self._all = ()
        super().forget()

    def action_show_ended(self) -> None:
        self.shows_ended = not self.shows_ended
        self.take()
        self.refresh()

    def name_of(self, row: ProcessRow) -> str:
        return row.process.entity_id

    def has_more(self, row: ProcessRow) -> bool:
        return row.children > 0

    def key(self, row: ProcessRow) -> Hashable:
        return row.process.entity_id

    def version(self, row: ProcessRow) -> Hashable:
        entity_id = row.process.entity_id
        look = (row.guides, row.children, row.exit, row.level, row.violations)
        ours = (self._pid_width, self.is_shut(row), self._ended_below.get(entity_id, 0))
        return id(row.process), look, ours, self._vitals.get(entity_id), describe.age(self._age_ns(row))

    def _age_ns(self, row: ProcessRow) -> int:
        """How long it has run, or ran."""
        return max(0, (row.exited_ns if row.exit else self._now_ns) - row.process.start_time_ns)

    def draw(self, row: ProcessRow, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        entity_id = row.process.entity_id
        return process_line(
            row,
            width,
            closed=self.is_shut(row),
            pid_width=self._pid_width,
            age_ns=self._age_ns(row),
            vitals=self._vitals.get(entity_id),
            ended=self._ended_below.get(entity_id, 0),
        )

    def terms(self, row: ProcessRow) -> Sequence[Term]:
        return terms.of_process(row.process)

    def is_marked(self, row: ProcessRow) -> bool:
        return row.own_violations > 0


def without_ended(
    rows: Sequence[ProcessRow], before_ns: int
) -> tuple[Sequence[ProcessRow], Mapping[str, int]]:
    """The rows without subtrees that are all ended since `before_ns` and broke nothing, and how many are
    hidden below each of the others. Roots are never hidden."""
    kept: list[ProcessRow] = []
    ended: dict[str, int] = {}
    for row in rows:
        done = row.exit is not None and not row.running and row.exited_ns < before_ns
        if row.guides and done and row.level is None:
            above = next(each for each in reversed(kept) if len(each.guides) < len(row.guides))
            ended[above.process.entity_id] = ended.get(above.process.entity_id, 0) + 1
        else:
            kept.append(row)
    return (kept, ended) if ended else (rows, ended)


def open_rows(rows: Sequence[ProcessRow], closed: frozenset[str]) -> Iterator[ProcessRow]:
    """The rows that are not below a closed one."""
    depth: int | None = None
    for row in rows:
        if depth is not None and len(row.guides) > depth:
            continue
        depth = len(row.guides) if row.process.entity_id in closed else None
        yield row


def process_line(
    row: ProcessRow,
    width: int,
    *,
    closed: bool = False,
    pid_width: int = 7,
    age_ns: int = 0,
    vitals: Vitals | None = None,
    ended: int = 0,
) -> list[Part]:
    """Pid, guides, program and arguments; at the right edge how it ended, what it takes and what it broke."""
    taken = _taken(age_ns, vitals) if width >= _WITH_VITALS else []
    right = [*_ending(row), *taken, *_badge(row)]
    hidden = f"[+{row.children}] " if closed and row.children else ""
    left: list[Part] = [
        (fit_right(str(row.process.pid), pid_width), "dim"),
        guide_part(row.guides, " "),
        (shown(hidden), "note"),
    ]
    if ended:
        right.insert(0, (shown(f" ✓{ended}"), "dim"))
    room = width - sum(cells(text) for text, _style in [*left, *right])
    return spread([*left, *_program(row, max(0, room))], right, width)


def _taken(age_ns: int, vitals: Vitals | None) -> list[Part]:
    cpu = f"{vitals.cpu_percent:.0f}%" if vitals else ""
    memory = describe.short_size(vitals.memory_bytes) if vitals else ""
    return [
        (fit_right(describe.age(age_ns), 5), "dim"),
        (fit_right(cpu, 6), ""),
        (fit_right(memory, 6), "dim"),
    ]


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
