"""The command's terminal: what it shows is safe, resizing keeps it, keys are what a terminal sends."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.segment import Segment

from tui.terminal import CommandTerminal

FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"})


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    outer, inner = os.openpty()
    yield outer, inner
    os.close(inner)
    os.close(outer)


def text(terminal: CommandTerminal, y: int) -> str:
    return "".join(segment.text for segment in terminal.line(y, cursor=False)).rstrip()


def showing(data: bytes, columns: int = 40, lines: int = 5) -> CommandTerminal:
    terminal = CommandTerminal(-1)
    terminal.resize(columns, lines)
    terminal.feed(data)
    return terminal


def test_colours_and_text() -> None:
    terminal = showing(b"\x1b[1;31mred\x1b[0m plain \x1b[38;5;208morange\x1b[0m\r\nnext")
    first: list[Segment] = terminal.line(0, cursor=False)
    assert text(terminal, 0) == "red plain orange"
    assert text(terminal, 1) == "next"
    style = first[0].style
    assert style is not None
    assert style.bold
    assert style.color is not None
    assert style.color.name == "red"


def test_the_cursor_is_marked_only_while_somebody_types() -> None:
    terminal = showing(b"ab")
    marked = [s for s in terminal.line(0, cursor=True) if s.style and s.style.reverse]
    assert [segment.text for segment in marked] == [" "]
    assert not any(s.style and s.style.reverse for s in terminal.line(0, cursor=False))


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))))
def test_nothing_harmful_is_shown(data: bytes) -> None:
    terminal = showing(data)
    for y in range(5):
        for segment in terminal.line(y, cursor=True):
            assert not {unicodedata.category(each) for each in segment.text} & FORBIDDEN
        assert sum(segment.cell_length for segment in terminal.line(y, cursor=True)) <= 41
    terminal.feed(b"\x18\x07\x1b\\\x1bc\x1b[2J\x1b[Hstill here")  # first whatever ends what was begun
    assert "still here" in " ".join(text(terminal, y) for y in range(5))


def test_fewer_lines_keep_what_is_there() -> None:
    terminal = showing(b"one\r\ntwo\r\nthree", lines=24)
    terminal.resize(40, 4)
    assert [text(terminal, y) for y in range(4)] == ["one", "two", "three", ""]
    terminal.resize(40, 2)
    assert [text(terminal, y) for y in range(2)] == ["two", "three"]
    terminal.resize(60, 10)
    assert text(terminal, 1) == "three"


def test_the_history_can_be_looked_at() -> None:
    terminal = showing(b"".join(b"line %d\r\n" % number for number in range(50)))
    newest = text(terminal, 0)
    terminal.scroll(-1)
    assert text(terminal, 0) != newest
    terminal.feed(b"more")
    assert "more" in text(terminal, 4)


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"),
        ("enter", "\r", b"\r"),
        ("ctrl+c", None, b"\x03"),
        ("ctrl+d", None, b"\x04"),
        ("up", None, b"\x1b[A"),
        ("home", None, b"\x1b[H"),
        ("backspace", None, b"\x7f"),
        ("escape", None, b"\x1b"),
        ("eacute", "é", "é".encode()),
    ],
)
def test_keys(ends: tuple[int, int], key: str, character: str | None, sent: bytes) -> None:
    import tty

    outer, inner = ends
    tty.setraw(inner)
    terminal = CommandTerminal(outer)
    assert terminal.send(key, character)
    assert os.read(inner, 100) == sent
    assert not terminal.send("f13", None)


def test_arrows_as_the_program_wants_them(ends: tuple[int, int]) -> None:
    import tty

    outer, inner = ends
    tty.setraw(inner)
    terminal = CommandTerminal(outer)
    terminal.feed(b"\x1b[?1h")
    terminal.send("up", None)
    assert os.read(inner, 100) == b"\x1bOA"


def test_it_reads_until_nobody_has_the_other_end() -> None:
    import threading

    outer, inner = os.openpty()
    terminal = CommandTerminal(outer)
    ended = threading.Event()
    terminal.start(lambda: ended.set() if terminal.ended else None)
    os.write(inner, b"last words")
    os.close(inner)
    assert ended.wait(10)
    assert text(terminal, 0) == "last words"
    terminal.close()
    os.close(outer)
