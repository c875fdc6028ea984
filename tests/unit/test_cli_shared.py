"""What a command that shares our terminal or pipe can do to it, and what comes through all the same."""

from __future__ import annotations

import fcntl
import os
import pty
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tracer.cli.shared import Terminal, own_stderr, own_terminal, patient

SECONDS = 5


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The screen's side and the programs' side."""
    screen, programs = pty.openpty()
    yield screen, programs
    termios.tcflow(programs, termios.TCOON)
    os.close(screen)
    os.close(programs)


def read_lines(screen: int, number: int) -> list[str]:
    data = b""
    while data.count(b"\r\n") < number:
        data += os.read(screen, 1000)
    return data.decode().splitlines()


def test_lines_come_in_order(terminal: tuple[int, int]) -> None:
    screen, programs = terminal
    lines = Terminal(programs, "utf-8")
    for number in range(3):
        lines.say(f"line {number}…")
    assert lines.finish(SECONDS)
    assert read_lines(screen, 3) == ["line 0…", "line 1…", "line 2…"]


def test_a_stopped_terminal_holds_up_nobody(terminal: tuple[int, int]) -> None:
    screen, programs = terminal
    lines = Terminal(programs, "utf-8", max_lines=2)
    termios.tcflow(programs, termios.TCOOFF)
    lines.say("first")
    assert not lines.finish(0.05)
    for number in range(7):
        lines.say(str(number))
    termios.tcflow(programs, termios.TCOON)
    assert lines.finish(SECONDS)
    wanted = ["first", "0", "1", "rubicon: the terminal stood still: 5 lines are not shown"]
    assert read_lines(screen, len(wanted)) == wanted


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    screen, programs = pty.openpty()
    os.close(screen)
    lines = Terminal(programs, "utf-8")
    lines.say("anybody?")
    assert lines.finish(SECONDS)
    os.close(programs)


def test_a_pipe_made_non_blocking_loses_nothing() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(reading, 65536), b"")))
    stream = patient(writing)
    threading.Timer(0.05, reader.start).start()
    for _ in range(1000):
        stream.write("line" * 50 + "\n")
        stream.flush()
    stream.close()
    os.close(writing)
    reader.join(SECONDS)
    os.close(reading)
    assert b"".join(received).lstrip(b"x") == (b"line" * 50 + b"\n") * 1000


def test_a_closed_stderr_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with own_stderr() as stderr:
        assert stderr.write("words") == 5


def test_only_a_terminal_has_a_thread(terminal: tuple[int, int]) -> None:
    _screen, programs = terminal
    reading, writing = os.pipe()
    assert own_terminal(patient(writing)) is None
    assert own_terminal(patient(programs)) is not None
    os.close(reading)
    os.close(writing)
