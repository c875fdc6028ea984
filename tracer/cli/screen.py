"""The one place that starts the TUI.

What the screen shows it reads from the trace; the engine does not know of it, and has it in a process of its
own, so that a screen that hangs or crashes costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def watch_here(trace: Path) -> int:
    """The screen in this process, until the user quits."""
    from tui.app import watch

    return watch(trace)


def save_screen(trace: Path, svg: Path, size: tuple[int, int]) -> None:
    """What the screen shows of the trace now, as a picture of `size` columns and lines."""
    from tui.picture import save_picture

    save_picture(trace, svg, size)


def start_screen(trace: Path) -> subprocess.Popen[bytes]:
    """The screen in a process of its own, on this terminal; it ends when the user quits."""
    main = Path(__file__).with_name("__main__.py")
    return subprocess.Popen([sys.executable, "-I", os.fspath(main), "watch", os.fspath(trace)])


def has_terminal() -> bool:
    """Whether there is a terminal to draw on and to take keys from."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
