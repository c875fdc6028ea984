"""`run --tui`: the command has a terminal of its own, and the screen shows it in a pane.

While the screen is there it reads what the command writes. When it has gone, be it that the user quit or that
it crashed, this terminal becomes the command's: what it writes is passed on, and so are the keys.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import sys
import termios
import threading
import tty
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tracer.cli.screen import Screen, start_screen

READ_BYTES = 65_536
_WAIT_SECONDS = 0.2


class Pane:
    """A context manager. `inner` is the command's end, to be closed by `close_inner` once it has it."""

    def __init__(self) -> None:
        self._outer, self.inner = pty.openpty()
        self._screen: Screen | None = None
        self._relay: _Relay | None = None
        _fit(self._outer)

    def close_inner(self) -> None:
        """Else the end of the command would not be seen."""
        os.close(self.inner)

    def show(self, trace: Path) -> None:
        self._screen = start_screen(trace, self._outer)

    def gone(self) -> bool:
        """Whether there is no screen any more; the first time, the command gets this terminal."""
        if self._screen is None or self._screen.ended() is None:
            return self._screen is None
        self._screen = None
        self._relay = _Relay(self._outer)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.close()
        if self._relay is not None:
            self._relay.close()
        with suppress(OSError):
            os.close(self._outer)


def _fit(outer: int, before: bytes = b"") -> bytes:
    """Make the command's terminal as large as this one, unless it was so `before`; the size of this one."""
    try:
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        if size != before:
            fcntl.ioctl(outer, termios.TIOCSWINSZ, size)
    except (OSError, ValueError):  # there is no terminal on one side
        return before
    return size


class _Relay:
    """A thread between this terminal, which is put into raw mode, and the command's."""

    def __init__(self, outer: int) -> None:
        self._outer = outer
        self._stop = threading.Event()
        self._before = None
        with suppress(termios.error, ValueError, OSError):
            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setraw(sys.stdin.fileno(), termios.TCSADRAIN)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
        ways = {self._outer: screen, keys: self._outer}
        with suppress(OSError):  # the command's end is closed (EIO), or this terminal is gone
            size = b""
            while not self._stop.is_set():
                size = _fit(self._outer, size)
                ready, _, _ = select.select(list(ways), [], [], _WAIT_SECONDS)
                for source in ready:
                    data = os.read(source, READ_BYTES)
                    if not data:
                        del ways[source]
                    while data:
                        data = data[os.write(ways.get(source, screen), data) :]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2)
        if self._before is not None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
