"""Readers of a live trace that hand it on elsewhere, each a process of its own, as the screen is one.

So a collector that is slow or away costs the watch nothing: what was not sent yet lies in the trace.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tracer.text import printable

LINGER_SECONDS = 30  # after the end, for what was not delivered yet
_END_SECONDS = 10.0  # for the process itself


class Relay:
    """`words` is a command of ours; what it says goes to `say`, line by line, and from there to the user."""

    def __init__(self, words: Sequence[str], say: Callable[[str], object]) -> None:
        main = str(Path(__file__).with_name("__main__.py"))
        self._say = say
        self._process = subprocess.Popen(
            [sys.executable, "-I", main, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,  # the terminal's interrupt is not for it: it ends with the trace
        )
        self._thread = threading.Thread(target=self._listen, name="relay", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """The trace has its end: wait until all of it was handed on, or given up."""
        try:
            self._process.wait(LINGER_SECONDS + _END_SECONDS)
        except subprocess.TimeoutExpired:
            self._say("what was handed on elsewhere may not be all: it took too long")
        self.close()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._thread.join(1.0)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._say(printable(line.rstrip("\n")).removeprefix("rubicon: "))
