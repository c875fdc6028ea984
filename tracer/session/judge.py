"""Trace -> violations, and those back into the trace: a reader like any other, one block behind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracer.events import Action, Event, Violation
from tracer.pipeline import Judge, LearnRules, Pipeline, has_events, protected
from tracer.rulings import violation_record
from tracer.session.outbox import Outbox, judged_record, portions
from tracer.trace import Block, Follower, Writer

Take = Callable[[Counter[Action], Sequence[Violation]], object]


class Judging:
    """The thread. `take(actions, violations)` is called for each block, once its violations are in the trace,
    with how many events of each kind it held, and what broke a rule. `react` is called with each violation
    the moment it is found, `heard` with each answer or question of DNS, `learn_rules` with each change of the
    rules, where they change.

    `error` is what ended it early, told to `on_error`; `unjudged` on how many events a rule failed,
    `bad_records` how many records could not be read, and `lost` the losses (critical, bulk) by the trace's
    own account, which knows what a full disk made the writer drop.
    """

    def __init__(
        self,
        writer: Writer,
        judge: Judge,
        session: Mapping[str, Any],
        outbox: Outbox,
        take: Take,
        *,
        learn_rules: LearnRules | None = None,
        react: Callable[[Violation], object] = lambda _: None,
        heard: Callable[[Event], object] | None = None,
        on_error: Callable[[str, BaseException], object] = lambda _what, _error: None,
    ) -> None:
        self.error: BaseException | None = None
        self.lost = (0, 0)
        self._writer = writer
        self._outbox = outbox
        self._take = take
        self._react = react
        self._heard = heard
        self._on_error = on_error
        self._appended = threading.Event()
        self._drained = False
        self._last_look = False
        self._next_block = 0
        self._pipeline = Pipeline(session, protected(session, judge), learn_rules=learn_rules)
        self._follower = Follower(writer.path, wait=self._wait, memory=writer.pending_block)
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    @property
    def unjudged(self) -> int:
        return self._pipeline.failed_judgements

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
        if (
            self._thread.ident is None
        ):  # the session ended before it began: what is there is judged all the same
            self._thread.start()
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
            self._on_error("judging", error)

    def _wait(self, timeout_seconds: float) -> None:
        """Called when there is nothing to read; what came just before the end is still to be looked for."""
        if self._drained:
            if self._last_look:
                self._follower.stop()
            self._last_look = True
            return
        self._appended.wait(timeout_seconds)
        self._appended.clear()

    @property
    def next_block(self) -> int:
        """The number of the first block that was not looked at yet."""
        return self._next_block

    def _judge(self, block: Block) -> None:
        self.lost = block.header.lost_critical, block.header.lost_bulk
        if any(record["type"] == "part" for record in block.context):
            numbering = {"block": block.header.sequence, "events": self._pipeline.events}
            self._outbox.add({"type": "numbering", **numbering})
        actions: Counter[Action] = Counter()
        violations: list[Violation] = []
        for event, found in self._pipeline.push(block):
            actions[event.action] += 1
            if self._heard is not None and event.action is Action.DNS:
                self._heard(event)
            for violation in found:
                self._react(violation)
                violations.append(violation)
        self._record(block, [violation_record(violation) for violation in violations])
        if actions:
            self._take(actions, violations)
        self._next_block = block.header.sequence + 1

    def _record(self, block: Block, violations: Sequence[Mapping[str, Any]]) -> None:
        """The word that the block is judged goes with the last of its violations; without any it can wait."""
        written = list(portions(violations))
        if written:
            written[-1].append(judged_record(block.header.sequence))
        elif has_events(block):
            self._outbox.judged(block.header.sequence)
        for portion in written:
            self._writer.append(portion)
