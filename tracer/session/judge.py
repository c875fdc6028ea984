"""Trace -> violations, and those back into the trace: a reader of the trace like any other, one block behind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracer.events import Action, Event, Violation
from tracer.pipeline import Judge, Pipeline, violation_record
from tracer.session.drain import Outbox, judged_record
from tracer.trace import Block, Follower, Writer

Take = Callable[[Counter[Action], Sequence[Violation]], object]


class Judging:
    """The thread. `take(actions, violations)` is called for each block, after its violations are in the trace:
    how many events of each kind it held, and what broke a rule.

    `error` is what ended it early, `judge_errors` how often a rule failed on an event (which then counts as
    not judged), `bad_records` how many records could not be read.
    """

    def __init__(
        self, writer: Writer, judge: Judge, session: Mapping[str, Any], outbox: Outbox, take: Take
    ) -> None:
        self.error: BaseException | None = None
        self.judge_errors = 0
        self._judge_event = judge
        self._writer = writer
        self._outbox = outbox
        self._take = take
        self._appended = threading.Event()
        self._drained = False
        self._last_look = False
        self._pipeline = Pipeline(session, self._guarded)
        self._follower = Follower(writer.path, wait=self._wait, memory=writer.pending_block)
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    @property
    def bad_records(self) -> int:
        return self._pipeline.bad_records

    def wake(self) -> None:
        """For the writer's `on_append`."""
        self._appended.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Judge all that is in the trace, and end. Nothing may be drained any more."""
        self._drained = True
        self._appended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._follower:
                for block in self._follower:
                    self._judge(block)
            if self._follower.damage:
                raise RuntimeError(
                    f"the trace was damaged while it was written: {self._follower.damage.message}"
                )
        except BaseException as error:  # noqa: BLE001  kept for `Session.stop`, which raises it
            self.error = error

    def _wait(self, timeout_seconds: float) -> None:
        """Called when there is nothing to read; what came just before the end is still to be looked for."""
        if self._drained:
            if self._last_look:
                self._follower.stop()
            self._last_look = True
            return
        self._appended.wait(timeout_seconds)
        self._appended.clear()

    def _judge(self, block: Block) -> None:
        actions: Counter[Action] = Counter()
        violations: list[Violation] = []
        for event, found in self._pipeline.push(block):
            actions[event.action] += 1
            violations += found
        if violations:
            records = [violation_record(violation) for violation in violations]
            self._writer.append([*records, judged_record(block.header.sequence)])
        elif block.critical or block.bulk:
            self._outbox.judged(block.header.sequence)
        if actions:
            self._take(actions, violations)

    def _guarded(self, event: Event) -> tuple[Violation, ...]:
        """No event, however made, may end the judging of those after it."""
        try:
            return self._judge_event(event)
        except Exception:  # noqa: BLE001  counted and told at the end of the session
            self.judge_errors += 1
            return ()
