"""Word of a violation to somebody who looks elsewhere: bell, a message to the terminal, a command of theirs.

The command gets RUBICON_LEVEL, RUBICON_RULE, RUBICON_SUMMARY, RUBICON_SESSION and RUBICON_COUNT in its
environment, and the violation as an ECS object on stdin (as `rubicon export` writes it): made for a webhook,

    critical = 'curl -s --json @- https://hooks.example.org/rubicon'
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from tracer.config import Notify
from tracer.events import Level, Violation
from tracer.text import printable
from tui.snapshot import Session

COMMAND_SECONDS = 30.0
NEWS_NS = 60_000_000_000  # what happened longer ago is history, as when a session is opened late

Write = Callable[[str], object]


class Notifier:
    """`heed` may be called from any thread, and does not wait for a command. `write` goes to the terminal."""

    def __init__(
        self,
        settings: Notify,
        write: Write,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._write = write
        self._clock = clock
        self._now_ns = now_ns
        self._last: dict[Level, float] = {}
        self._untold: dict[Level, int] = {}

    def heed(self, violations: Sequence[Violation], session: Session) -> None:
        fresh = [each for each in violations if self._now_ns() - each.event.time_ns < NEWS_NS]
        for level in sorted({each.rule.level for each in fresh}, key=lambda each: -each.rank):
            found = [each for each in fresh if each.rule.level is level]
            self._untold[level] = self._untold.get(level, 0) + len(found)
            now = self._clock()
            if now - self._last.get(level, -1e9) >= self._settings.every_seconds:
                self._last[level] = now
                self._tell(found[-1], self._untold.pop(level), session)

    def _tell(self, violation: Violation, count: int, session: Session) -> None:
        summary = printable(violation.summary)
        if self._settings.bell:
            self._write("\a")
        if self._settings.osc9:
            self._write(f"\x1b]9;rubicon: {summary}\x1b\\")
        if command := self._settings.command.get(violation.rule.level):
            arguments = (command, _environment(violation, count, session), _document(violation, session))
            threading.Thread(target=_run, args=arguments, name="notify", daemon=True).start()


def _environment(violation: Violation, count: int, session: Session) -> Mapping[str, str]:
    return {
        "RUBICON_LEVEL": violation.rule.level.value,
        "RUBICON_RULE": printable(violation.rule.name),
        "RUBICON_SUMMARY": printable(violation.summary),
        "RUBICON_SESSION": printable(session.id),
        "RUBICON_COUNT": str(count),
    }


def _document(violation: Violation, session: Session) -> str:
    from tracer.export import SessionFacts, violation_document
    from tracer.export.jsonl import line_of

    return line_of(violation_document(violation, SessionFacts(session.id, session.target, "")))


def _run(command: str, environment: Mapping[str, str], document: str) -> None:
    """What it says goes nowhere: the terminal is the screen's."""
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["/bin/sh", "-c", command],
            env={**os.environ, **environment},
            input=document.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
