"""What was written, as a tree: the workspace first, then all that is outside of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui import describe, terms
from tui.cells import Part, fit, fit_middle, fit_right, parts_cells, shown, spread
from tui.snapshot import FileRow
from tui.terms import Term
from tui.widgets.rows import RowList

_MAX_GUIDES = 12
_BRANCHES = {"│": "│ ", " ": "  ", "├": "├─", "└": "└─"}
_WIDE = 100


class FileTree(RowList[FileRow]):
    """`rows_of(closed)` gives the rows without those below closed folders."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold", "Close", show=False),
        Binding("right,l", "unfold", "Open", show=False),
    ]

    def __init__(self, rows_of: Callable[[frozenset[str]], Sequence[FileRow]], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.empty_text = "nothing was written"
        self._rows_of = rows_of
        self._shut: frozenset[str] = frozenset()

    def take(self) -> None:
        self.set_rows(self._rows_of(self._shut))
        roots = [row for row in self.rows if not row.guides]
        inside = sum(row.files for row in roots if not row.outside)
        outside = sum(row.files for row in roots if row.outside)
        self.border_subtitle = (
            f"{describe.several(inside, 'file')} in the workspace, {describe.number(outside)} outside"
        )

    def forget(self) -> None:
        self._shut = frozenset()
        super().forget()

    def action_fold(self) -> None:
        row = self.selected
        if row is not None and row.is_folder and row.path not in self._shut:
            self._set_shut(self._shut | {row.path})
        elif row is not None:
            self._select_folder(row)

    def action_unfold(self) -> None:
        if self.selected is not None:
            self._set_shut(self._shut - {self.selected.path})

    def _set_shut(self, closed: frozenset[str]) -> None:
        self._shut = closed
        self.take()
        self.refresh()

    def _select_folder(self, row: FileRow) -> None:
        for index in range(self.cursor - 1, -1, -1):
            if len(self.rows[index].guides) < len(row.guides):
                self.select(index)
                return

    def key(self, row: FileRow) -> Hashable:
        return row.path, row.guides == ""

    def version(self, row: FileRow) -> Hashable:
        shape = (row.guides, row.name, row.path in self._shut, row.gone)
        return shape, row.files, row.bytes, row.last_ns, row.level, row.writers

    def draw(self, row: FileRow, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        return file_line(row, width, closed=row.path in self._shut)

    def copied(self, row: FileRow) -> str:
        return shown(row.path)

    def terms(self, row: FileRow) -> Sequence[Term]:
        return terms.of_file(row)

    def is_marked(self, row: FileRow) -> bool:
        return row.level is not None and not row.is_folder


def file_line(row: FileRow, width: int, *, closed: bool = False) -> list[Part]:
    """Name under its folder; at the right edge level, files, bytes, when and by whom."""
    guides = "".join(_BRANCHES[guide] for guide in row.guides[-_MAX_GUIDES:])
    mark = describe.LEVEL_MARKS[row.level] if row.level else ""
    right: list[Part] = [
        (fit_right(describe.number(row.files) if row.is_folder else "", 8), "dim"),
        (fit_right(describe.short_size(row.bytes) if row.bytes else "", 7), ""),
        (fit_right(describe.clock_time(row.last_ns), 9), "dim"),
        (fit_right(mark, 2), row.level.value if row.level else ""),
    ]
    if width >= _WIDE:
        right.insert(3, (fit(f" {' '.join(row.writers)}", 22), ""))
    left: list[Part] = [(shown(guides), "guide")]
    if not row.guides:
        place = "outside  " if row.outside else "workspace  "
        left.append((shown(place), "note" if row.outside else "good"))
    suffix = "/" if row.is_folder and not row.name.endswith("/") else ""
    suffix += " …" if closed else " (gone)" if row.gone else ""
    room = max(0, width - parts_cells([*left, *right]))
    style = "dim" if row.gone else "strong" if row.is_folder else "file"
    return spread([*left, (fit_middle(row.name + suffix, room), style)], right, width)


def files_head(width: int) -> list[Part]:
    right: list[Part] = [
        (fit_right("files", 8), ""),
        (fit_right("bytes", 7), ""),
        (fit_right("last", 9), ""),
        (fit("", 2), ""),
    ]
    if width >= _WIDE:
        right.insert(3, (fit(" programs", 22), ""))
    return spread([(shown("path"), "")], right, width)
