"""How far a command is with a long trace: a bar on stderr, when data goes elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN = 0.2
_SECONDS_BEFORE = 0.5  # what is done sooner shows no bar


@contextmanager
def shown_progress(progress: Callable[[], tuple[int, int]], *, to_terminal: bool) -> Iterator[None]:
    """`progress` is asked for the bytes done and those in all; `to_terminal`: data goes to stdout."""
    if not sys.stderr.isatty() or (to_terminal and sys.stdout.isatty()):
        yield
        return
    done = threading.Event()
    shower = threading.Thread(target=_show, args=(progress, done), name="progress", daemon=True)
    shower.start()
    try:
        yield
    finally:
        done.set()
        shower.join()


def _show(progress: Callable[[], tuple[int, int]], done: threading.Event) -> None:
    if done.wait(_SECONDS_BEFORE):
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=progress()[1])
        while not done.wait(_SECONDS_BETWEEN):
            read, size = progress()
            bar.update(task, completed=read, total=size)
