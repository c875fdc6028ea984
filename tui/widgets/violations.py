"""The violations: newest first, two lines each, the level told by shape, word and colour."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from tui import describe, terms
from tui.cells import Part, clip, fit, parts_cells, shown, spread
from tui.snapshot import Snapshot, State, ViolationGroup
from tui.terms import Term
from tui.widgets.rows import RowList

_MARK_WIDTH = 7  # "◆ CRIT "


class ViolationList(RowList[ViolationGroup]):
    row_height: ClassVar[int] = 2

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.empty_text = "no violations yet"

    def show(self, snapshot: Snapshot) -> None:
        going_on = snapshot.summary.state in {State.OPENING, State.LIVE}
        nothing = "no violations yet" if going_on else "no violations"
        self.empty_text = "no violation passes the filter" if snapshot.filter else nothing
        on_top = self.cursor == 0  # there the newest stays selected; further down, the one that is read
        self.set_rows(snapshot.violations)
        if on_top and self.cursor != 0:
            self.select(0)
        seen = sum(row.acknowledged for row in self.rows)
        self.border_subtitle = (
            f"{describe.number(seen)} of {describe.number(len(self.rows))} seen" if seen else ""
        )

    def key(self, row: ViolationGroup) -> Hashable:
        return row.key

    def version(self, row: ViolationGroup) -> Hashable:
        return row.count, row.last_ns, row.taken, row.acknowledged

    def copied(self, row: ViolationGroup) -> str:
        return shown(f"{row.violation.rule.level.value}: {row.violation.rule.name}: {row.violation.summary}")

    def terms(self, row: ViolationGroup) -> Sequence[Term]:
        return terms.of_violation(row.violation)

    def is_marked(self, row: ViolationGroup) -> bool:
        return not row.acknowledged

    def draw(self, row: ViolationGroup, line: int, width: int) -> list[Part]:
        return violation_head(row, width) if line == 0 else violation_words(row, width)


def violation_head(group: ViolationGroup, width: int) -> list[Part]:
    """Level, rule, how often, when."""
    rule = group.violation.rule
    level = rule.level.value
    word = {"informational": "info", "critical": "crit", "medium": "med"}.get(level, level)
    mark: Part = (fit(f"{describe.LEVEL_MARKS[rule.level]} {word.upper()}", _MARK_WIDTH), level)
    if group.acknowledged:
        mark = (fit(f"✓ {word}", _MARK_WIDTH), "dim")
    right: list[Part] = [(shown(f" {describe.clock_time(group.last_ns)}"), "dim")]
    if group.count > 1:
        right.insert(0, (shown(f" ×{group.count:,}"), "note"))  # noqa: RUF001  the sign for times
    if group.taken:
        right.insert(0, (shown(f" {describe.deed(group.taken)}"), "note"))
    room = width - _MARK_WIDTH - parts_cells(right)
    return spread([mark, (clip(rule.name, room), "dim" if group.acknowledged else "strong")], right, width)


def violation_words(group: ViolationGroup, width: int) -> list[Part]:
    """What happened, in one sentence."""
    indent = _MARK_WIDTH if width > 60 else 2
    return [(fit("", min(indent, width)), ""), (fit(group.violation.summary, max(0, width - indent)), "dim")]
