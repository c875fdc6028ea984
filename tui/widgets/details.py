"""The details pane: a document, wrapped to the width there is."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tracer.text import printable
from tui.details import Document, Section

MAX_VALUE_CHARACTERS = 4_000


class DetailsPane(VerticalScroll, can_focus=True):
    """Shows a document and scrolls; it is laid out anew only when the document is another one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dim", "strong", "failed", "note", "heading", "label",
        "critical", "high", "medium", "low", "informational",
    }  # fmt: skip

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.document: Document | None = None

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, document: Document) -> None:
        if document == self.document:
            return
        same_subject = self.document is not None and self.document.title == document.title
        self.document = document
        self.query_one(Static).update(self._layout(document))
        self.border_subtitle = document.kind
        if not same_subject:
            self.scroll_home(animate=False)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.document is not None and self.is_mounted:
            self.query_one(Static).update(self._layout(self.document))

    def _layout(self, document: Document) -> RenderableType:
        title_style = self._style(document.level.value if document.level else "strong")
        blocks: list[RenderableType] = [Text(_shortened(document.title), title_style + Style(bold=True))]
        if document.lead:
            blocks.append(Text(_shortened(document.lead), overflow="fold"))
        blocks.extend(self._section(section) for section in document.sections if section.fields)
        return Group(*blocks)

    def _section(self, section: Section) -> RenderableType:
        """The heading, and labels and values in two columns that wrap each in its own."""
        table = Table.grid(padding=(0, 1))
        table.add_column(min_width=10, max_width=18, style=self._style("label"), overflow="fold")
        table.add_column(overflow="fold", ratio=1)
        for field in section.fields:
            value = Text(_shortened(field.value), self._style(field.style), overflow="fold")
            table.add_row(Text(_shortened(field.label)), value)
        return Group(Text(f"\n{section.title}", self._style("heading")), table)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True) if name else Style.null()


def _shortened(text: str) -> str:
    """Escaped, and not longer than anybody reads here; the trace has all of it."""
    if len(text) <= MAX_VALUE_CHARACTERS:
        return printable(text)
    return f"{printable(text[:MAX_VALUE_CHARACTERS])}… ({len(text):,} characters)"
