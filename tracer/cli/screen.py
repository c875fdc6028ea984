"""The one place that starts the TUI.

What the screen shows it reads from the trace; the engine does not know of it, and has it in a process of its
own, so that a screen that hangs or crashes costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.cli import armour, privileges

_CLOSE_SECONDS = 5.0
# What a full-screen program switches on, and one that was killed leaves on (xterm control sequences, DECSET):
# mouse tracking, focus, bracketed paste, the alternate screen; then what it switches off: the cursor and the
# wrapping of lines.
_MODES_OFF = (1000, 1002, 1003, 1006, 1015, 1004, 2004, 1049)
_RESET = "".join(f"\x1b[?{mode}l" for mode in _MODES_OFF) + "\x1b[?25h\x1b[?7h\x1b[0m"


def watch_here(trace: Path | None, terminal: int | None = None) -> int:
    """The screen in this process, until the user quits; without a trace, on the sessions there are."""
    from tui.app import watch

    armour.take_off()
    privileges.keep(() if _is_ours(trace) else privileges.READER)
    return watch(trace, terminal)


def _is_ours(trace: Path | None) -> bool:
    """Whether it can be read as its owner, with no right to what others own."""
    if trace is None:
        return True
    with suppress(OSError):
        return trace.stat().st_uid == os.geteuid()
    return True


def save_screen(trace: Path, svg: Path, size: tuple[int, int], screen: str) -> None:
    """What a screen shows of the trace now, as a picture of `size` columns and lines."""
    from tui.picture import save_picture

    save_picture(trace, svg, size, screen)


def start_screen(trace: Path, terminal: int | None = None) -> Screen:
    """The screen in a process of its own, on this terminal; it ends when the user quits. `terminal` is the
    other end of the command's, to be shown in a pane."""
    main = Path(__file__).with_name("__main__.py")
    before = termios.tcgetattr(sys.stdin.fileno())
    command = [sys.executable, "-I", os.fspath(main), "watch", os.fspath(trace)]
    if terminal is None:
        return Screen(subprocess.Popen(command), before)
    command += ["--terminal", str(terminal)]
    return Screen(subprocess.Popen(command, pass_fds=(terminal,)), before)


class Screen:
    """A screen that is shown. `before` is the terminal as it was, for when the screen cannot put it back."""

    def __init__(self, process: subprocess.Popen[bytes], before: list[Any]) -> None:
        self._process = process
        self._before = before

    def ended(self) -> int | None:
        """Its exit status, None while it is there. Not 0: it crashed, and the terminal is put in order."""
        status = self._process.poll()
        if status:
            self._restore_terminal()
        return status

    def close(self) -> None:
        """Nothing when it has ended already."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            self._restore_terminal()

    def _restore_terminal(self) -> None:
        with suppress(OSError, termios.error, ValueError):
            sys.stdout.write(_RESET)
            sys.stdout.flush()
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)


def has_terminal() -> bool:
    """Whether there is a terminal to draw on and to take keys from."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
