"""What is asked for a moment: one of several, or whether something is really to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from tracer.text import printable


@dataclass(frozen=True, slots=True)
class Choice:
    """`label` is safe to show; `value` is what is chosen by it."""

    label: str
    value: Any


class ChoiceScreen(ModalScreen[Any]):
    """One of several; None when none is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Cancel", key_display="esc"),
        Binding("ctrl+c", "app.quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        options = OptionList(
            *(Option(Text(choice.label, overflow="ellipsis", no_wrap=True)) for choice in self._choices)
        )
        options.id = "choices"
        yield options
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        options.border_title = self._title
        options.highlighted = 0
        options.focus()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[message.option_index].value)


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, in words; `diff` is shown below, line by line. All of it is raw."""

    title: str
    words: str
    yes: str
    diff: Sequence[str] = ()


class ConfirmScreen(ModalScreen[bool]):
    """Whether something is to be done. Enter does nothing by itself: a `y` has to be meant."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes, do it"),
        Binding("n,escape,q", "dismiss(False)", "No", key_display="n"),
        Binding("ctrl+c", "app.quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical(id="confirm"):
            yield Static(Text(printable(question.words)), markup=False)
            if question.diff:
                with VerticalScroll(id="diff"):
                    yield Static(Text("\n").join(map(_diff_line, question.diff)), markup=False)
            yield Static(Text(f"y  {question.yes}     n  no"), id="yes", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#confirm").border_title = self._question.title


def _diff_line(line: str) -> Text:
    style = {"+": "bold", "-": "strike"}.get(line[:1], "dim")
    return Text(printable(line), style)
