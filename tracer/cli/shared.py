"""Output on what the watched command has as well: its terminal, or the pipe that its stdout goes to.

A command that means harm can make the descriptor non-blocking, for it is one file with ours, or stop the
terminal (tcflow(3), as Ctrl-S does). Neither may silence us or hold up the watch.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from tracer.cli import privileges

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_LINES = 10_000  # that wait for a terminal; more are not shown, and counted
LAST_SECONDS = 2.0  # how long the end waits for one


class _Patient(io.FileIO):
    """Waits where a non-blocking descriptor has no room, instead of giving up."""

    def write(self, data: ReadableBuffer, /) -> int:
        while True:
            written: int | None = super().write(data)
            if written is not None:
                return written
            poll = select.poll()
            poll.register(self, select.POLLOUT)
            poll.poll()


def patient(descriptor: int, encoding: str = "ascii") -> TextIO:
    """A stream on a descriptor that others share; closing it leaves the descriptor open."""
    raw = _Patient(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace")


def own_stderr() -> TextIO:
    """Where the caller closed it (2>&-), words go nowhere."""
    if sys.stderr is None:
        return patient(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
    return patient(sys.stderr.fileno(), sys.stderr.encoding)


class Terminal:
    """Lines on a terminal, written by a thread of its own, so that a stopped one holds up nobody."""

    def __init__(self, descriptor: int, encoding: str, *, max_lines: int = MAX_LINES) -> None:
        self._raw = _Patient(descriptor, "w", closefd=False)
        self._encoding = encoding
        self._max_lines = max_lines
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._changed = threading.Condition()
        self._busy = False
        self._start()

    def _start(self) -> None:
        """Without any signal: SIGTTOU would stop us all for a line on a terminal that a shell has for itself,
        and the others are waited for elsewhere."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=self._run, name="terminal", daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def say(self, line: str) -> None:
        with self._changed:
            if len(self._lines) < self._max_lines:
                self._lines.append(line)
            else:
                self._left_out += 1
            self._changed.notify_all()

    def finish(self, timeout_seconds: float = LAST_SECONDS) -> bool:
        """Wait until all is written; false when the terminal does not take it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._busy, timeout_seconds)

    def _next(self) -> str:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines)
            self._busy = True
            line = self._lines.popleft()
            if self._left_out and not self._lines:
                self._lines.append(
                    f"rubicon: the terminal stood still: {self._left_out:,} lines are not shown"
                )
                self._left_out = 0
            return line

    def _run(self) -> None:
        with suppress(OSError):  # it was started before the engine gave up its own
            privileges.keep(())
        while True:
            data = f"{self._next()}\n".encode(self._encoding, "backslashreplace")
            with suppress(OSError):  # a terminal that is gone must not end the watch
                while data:
                    data = data[self._raw.write(data) :]


def own_terminal(stream: TextIO) -> Terminal | None:
    """For a stream that is a terminal; None for any other, and for one that has no descriptor."""
    try:
        if stream.isatty() and os.isatty(stream.fileno()):
            return Terminal(stream.fileno(), stream.encoding)
    except (OSError, ValueError):
        pass
    return None
