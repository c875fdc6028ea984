"""Rows that hang below one another: what the trees of processes and of files have in common."""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeVar

from textual.binding import Binding, BindingType

from tui.cells import Part, shown
from tui.widgets.rows import RowList

MAX_GUIDES = 12  # deeper levels are drawn at this depth: the name must stay readable
_BRANCHES = {"│": "│ ", " ": "  ", "├": "├─", "└": "└─"}


class Hanging(Protocol):
    """`guides`: one character a level above, as in `ProcessRow`."""

    @property
    def guides(self) -> str: ...


Row = TypeVar("Row", bound=Hanging)


class TreeList(RowList[Row]):
    """Left closes a subtree, and on a closed one or a leaf goes to what it hangs on; right opens it. What is
    closed is kept here, by name, as it is nobody else's business."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold", "Close", show=False),
        Binding("right,l", "unfold", "Open", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.shut: frozenset[str] = frozenset()

    # What a subclass defines

    def name_of(self, row: Row) -> str:
        """By which a closed row is remembered."""
        raise NotImplementedError

    def has_more(self, row: Row) -> bool:
        """Whether anything hangs on it."""
        raise NotImplementedError

    def take(self) -> None:
        """The rows without those below closed ones."""
        raise NotImplementedError

    # Closing and opening

    def is_shut(self, row: Row) -> bool:
        return self.name_of(row) in self.shut

    def forget(self) -> None:
        self.shut = frozenset()
        super().forget()

    def action_fold(self) -> None:
        row = self.selected
        if row is None:
            return
        if self.has_more(row) and not self.is_shut(row):
            self._set_shut(self.shut | {self.name_of(row)})
        else:
            self._select_above(row)

    def action_unfold(self) -> None:
        if self.selected is not None:
            self._set_shut(self.shut - {self.name_of(self.selected)})

    def _set_shut(self, shut: frozenset[str]) -> None:
        self.shut = shut
        self.take()
        self.refresh()

    def _select_above(self, row: Row) -> None:
        for index in range(self.cursor - 1, -1, -1):
            if len(self.rows[index].guides) < len(row.guides):
                self.select(index)
                return


def guide_part(guides: str, before: str = "") -> Part:
    """The lines in front of a row."""
    return shown(before + "".join(_BRANCHES[guide] for guide in guides[-MAX_GUIDES:])), "guide"
