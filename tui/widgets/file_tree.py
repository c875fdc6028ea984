"""What was written, as a tree: the workspace first, then all that is outside of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from tui import describe, terms
from tui.cells import Part, fit, fit_middle, fit_right, parts_cells, shown, spread
from tui.snapshot import FileRow
from tui.terms import Term
from tui.widgets.tree import TreeList, guide_part

_WIDE = 100


class FileTree(TreeList[FileRow]):
    """`rows_of(shut)` gives the rows without those below closed folders, and the same as before when nothing
    changed."""

    def __init__(self, rows_of: Callable[[frozenset[str]], Sequence[FileRow]], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.empty_text = "nothing was written"
        self._rows_of = rows_of

    def take(self) -> None:
        rows = self._rows_of(self.shut)
        if rows is self.rows:
            return
        self.set_rows(rows)
        roots = [row for row in self.rows if not row.guides]
        inside = sum(row.files for row in roots if not row.outside)
        outside = sum(row.files for row in roots if row.outside)
        self.border_subtitle = (
            f"{describe.several(inside, 'file')} in the workspace, {describe.number(outside)} outside"
        )

    def name_of(self, row: FileRow) -> str:
        return row.path

    def has_more(self, row: FileRow) -> bool:
        return row.is_folder

    def key(self, row: FileRow) -> Hashable:
        return row.path, row.guides == ""

    def version(self, row: FileRow) -> Hashable:
        shape = (row.guides, row.name, self.is_shut(row), row.gone)
        return shape, row.files, row.bytes, row.last_ns, row.level, row.writers

    def draw(self, row: FileRow, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        return file_line(row, width, closed=self.is_shut(row))

    def copied(self, row: FileRow) -> str:
        return shown(row.path)

    def terms(self, row: FileRow) -> Sequence[Term]:
        return terms.of_file(row)

    def is_marked(self, row: FileRow) -> bool:
        return row.level is not None and not row.is_folder


def file_line(row: FileRow, width: int, *, closed: bool = False) -> list[Part]:
    """Name under its folder; at the right edge level, files, bytes, when and by whom."""
    mark = describe.LEVEL_MARKS[row.level] if row.level else ""
    right: list[Part] = [
        (fit_right(describe.number(row.files) if row.is_folder else "", 8), "dim"),
        (fit_right(describe.short_size(row.bytes) if row.bytes else "", 7), ""),
        (fit_right(describe.clock_time(row.last_ns), 9), "dim"),
        (fit_right(mark, 2), row.level.value if row.level else ""),
    ]
    if width >= _WIDE:
        right.insert(3, (fit(f" {' '.join(row.writers)}", 22), ""))
    left: list[Part] = [guide_part(row.guides)]
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
