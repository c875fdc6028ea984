"""Blocks of a trace -> events and their violations: decode -> context -> rules, composed once.

    live engine, replay      Pipeline           each event is judged here
    TUI                      RecordedPipeline   the violations that the engine recorded
    export, report, replay   RecordedTrace      a whole file, either way

A trace goes the same way whoever reads it, so the same trace and rules give the same violations. Imports
`tracer.capture` (the decoder), `tracer.context` and `tracer.trace`; rules come in as a callable.

A record that cannot be read is counted in `bad_records` and takes no number; never is it a crash, for a trace
may come from anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracer.context import Context
from tracer.context.fields import number, text
from tracer.context.images import entity_id
from tracer.errors import RubiconError, TraceError
from tracer.events import Event, Rule, RulesFailedError, Step, Taken, Violation
from tracer.records import Record
from tracer.rulings import actions_in, read_matched, read_rule
from tracer.trace import Block, Damage, Reader, read_correlated, ring_records

Judge = Callable[[Event], tuple[Violation, ...]]
Decode = Callable[[memoryview], Record]
Judged = tuple[Event, tuple[Violation, ...]]
Records = Sequence[Mapping[str, Any]]
LearnRules = Callable[[Mapping[str, Any]], object]
"""Takes a context record that says by which rules is judged from here on. Raises RubiconError."""

# What a reader of a growing trace holds back of it until it is judged; then events come without a verdict.
MAX_PENDING_BYTES = 256 * 2**20

_time_ns = attrgetter("time_ns")


class Pipeline:
    """Feed it every block of a trace, from the first, in order.

    `failed_judgements` counts the events on which a rule failed: their verdict is not whole.
    `learn_rules` is told of changes of the rules, before the events of the block they are in.
    `decoder` replaces the one that the session record's layout calls for, in tests. `steps` are those that
    were found afterwards. Raises AbiMismatch when the records are of another version, TraceError when the
    session record cannot be used.
    """

    def __init__(
        self,
        session: Mapping[str, Any],
        judge: Judge,
        decoder: Decode | None = None,
        steps: Records = (),
        *,
        learn_rules: LearnRules | None = None,
    ) -> None:
        self.bad_records = 0
        self.failed_judgements = 0
        self._judge = judge
        self._learn_rules = learn_rules
        self._context = Context(session, steps)
        self._decode = decoder or _decoder(session)

    @property
    def events(self) -> int:
        """How many there were in the blocks so far, and before them."""
        return self._context.events

    def begin_after(self, events: int) -> None:
        """That many were in blocks that are not kept any more."""
        self._context.events = events

    @property
    def steps(self) -> Sequence[Step]:
        """Those begun in the blocks so far."""
        return self._context.steps

    def kept(self) -> tuple[Context, int, int]:
        """What is known of the blocks so far, for `go_on`."""
        return self._context, self.bad_records, self.failed_judgements

    def go_on(self, judge: Judge, context: Context, bad_records: int, failed: int) -> None:
        self._judge = judge
        self._context = context
        self.bad_records, self.failed_judgements = bad_records, failed

    def push(self, block: Block) -> Iterator[Judged]:
        """The events of the block in order. Ask for all of them before the next block."""
        make_event = self._context.event
        self.bad_records += self._context.learn(block.context)
        if self._learn_rules:
            self._learn_changes(block.context, self._learn_rules)
        for told in self._context.take_told():
            yield told, self._judged(told)
        for record in self._records(block):
            try:
                event = make_event(record)
            except TraceError:
                self.bad_records += 1
                continue
            if event is not None:
                yield event, self._judged(event)

    def _learn_changes(self, context: Iterable[Mapping[str, Any]], learn: LearnRules) -> None:
        for record in context:
            if record["type"] == "rules":
                try:
                    learn(record)
                except RubiconError:
                    self.bad_records += 1

    def _judged(self, event: Event) -> tuple[Violation, ...]:
        """No event, however made, may end the judging of those after it."""
        if event.process.setting_up:
            return ()
        try:
            return self._judge(event)
        except RulesFailedError as error:
            self.failed_judgements += 1
            return error.found
        except Exception:  # noqa: BLE001  a rule that fails is counted; the verdict is then incomplete
            self.failed_judgements += 1
            return ()

    def _records(self, block: Block) -> list[Record]:
        """Of both sections, by time; those of the same time as they were drained."""
        records: list[Record] = []
        for section in (block.critical, block.bulk):
            self._read_section(section, records)
        records.sort(key=_time_ns)
        return records

    def _read_section(self, section: bytes, records: list[Record]) -> None:
        decode, views = self._decode, ring_records(section)
        while True:
            try:
                view = next(views, None)
            except TraceError:  # what comes after broken framing cannot be found
                self.bad_records += 1
                return
            if view is None:
                return
            try:
                records.append(decode(view))
            except TraceError:
                self.bad_records += 1


def has_events(block: Block) -> bool:
    """Whether there is anything to judge: kernel records, or what the engine found out about processes."""
    return bool(block.critical or block.bulk) or any(record["type"] == "cpu" for record in block.context)


def _decoder(session: Mapping[str, Any]) -> Decode:
    from tracer.capture import RecordDecoder

    layout = session.get("abi")
    if not isinstance(layout, Mapping):
        raise TraceError("the session record does not say how kernel records are laid out")
    return RecordDecoder(layout).decode


def protected(session: Mapping[str, Any], judge: Judge) -> Judge:
    """`judge`, and before it the rule that is always on: nobody who is watched may touch who watches.

    A session record without an engine has nothing to protect. Raises TraceError when it has one that cannot
    be read.
    """
    from tracer.rules.protection import protection

    engine = session.get("engine")
    if not isinstance(engine, Mapping):
        return judge
    protect = protection(engine, entity_id(number(engine, "pid"), number(engine, "start_ns")))

    def judge_both(event: Event) -> tuple[Violation, ...]:
        attack = protect(event)
        if attack is None:
            return judge(event)
        try:
            return (attack, *judge(event))
        except RulesFailedError as error:
            raise RulesFailedError(error.rules, (attack, *error.found)) from None

    return judge_both


class RecordedPipeline:
    """The violations that were recorded, each with its event: no rule is judged here.

    They are written after the events, so a block is held back until a record says that all its events have
    been judged. `pending_bytes` is the raw length of what is held back; beyond MAX_PENDING_BYTES the oldest
    block is let go without a verdict, and its events are counted in `unjudged`.
    """

    def __init__(
        self, session: Mapping[str, Any], decoder: Decode | None = None, steps: Records = ()
    ) -> None:
        self.unjudged = 0
        self.pending_bytes = 0
        self._verdicts = _Verdicts()
        self._pipeline = Pipeline(session, self._verdicts.of, decoder, steps)
        self._pending: deque[Block] = deque()

    @property
    def bad_records(self) -> int:
        return self._pipeline.bad_records + self._verdicts.bad_records

    def push(self, block: Block) -> Iterator[Judged]:
        self._verdicts.learn(block.context)
        self._pending.append(block)
        self.pending_bytes += block.header.raw_bytes
        while self._pending and self._verdicts.cover(self._pending[0]):
            yield from self._release()
        while self.pending_bytes > MAX_PENDING_BYTES:
            yield from self._release_unjudged()

    def kept(self) -> dict[str, Any]:
        """What it knows, for `go_on` of one that is new (`tracer.frozen`)."""
        context, bad_records, failed = self._pipeline.kept()
        return {
            "context": context,
            "bad_records": bad_records,
            "failed": failed,
            "verdicts": self._verdicts,
            "pending": self._pending,
            "pending_bytes": self.pending_bytes,
            "unjudged": self.unjudged,
        }

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """From where another one was; the next block is the one after the last that it was fed."""
        self._verdicts = kept["verdicts"]
        self._pending, self.pending_bytes = kept["pending"], kept["pending_bytes"]
        self.unjudged = kept["unjudged"]
        self._pipeline.go_on(self._verdicts.of, kept["context"], kept["bad_records"], kept["failed"])

    def finish(self) -> Iterator[Judged]:
        """What is still held back, at the end of a trace that was cut off."""
        while self._pending:
            yield from self._release_unjudged()

    def _release(self) -> Iterator[Judged]:
        block = self._pending.popleft()
        self.pending_bytes -= block.header.raw_bytes
        if before := self._verdicts.events_before(block):
            self._pipeline.begin_after(before)
        yield from self._pipeline.push(block)

    def _release_unjudged(self) -> Iterator[Judged]:
        for item in self._release():
            self.unjudged += 1
            yield item


class _Verdicts:
    """The recorded violations of events that have not come by yet, and how far judging got."""

    def __init__(self) -> None:
        self.bad_records = 0
        self._judged = -1  # sequence of the newest block all of whose events were judged
        self._violations: dict[int, list[Mapping[str, Any]]] = {}
        self._before: dict[int, int] = {}  # events, by the first block of a part
        self._first = 0  # block of what is read
        self._rules: dict[Rule, Rule] = {}

    def learn(self, context: Iterable[Mapping[str, Any]]) -> None:
        for record in context:
            if record["type"] == "violation":
                self._keep(record)
            elif record["type"] == "judged":
                block = record.get("block")
                if isinstance(block, int):
                    self._judged = max(self._judged, block)
                else:
                    self.bad_records += 1
            elif record["type"] == "numbering":
                self._learn_numbering(record.get("block"), record.get("events"))

    def _learn_numbering(self, block: object, events: object) -> None:
        if isinstance(block, int) and isinstance(events, int):
            self._before[block] = events
        else:
            self.bad_records += 1

    def events_before(self, block: Block) -> int:
        """How many events there were in blocks that are not kept, once, when a later one told; else 0."""
        if block.offset == 0:
            self._first = block.header.sequence
        return self._before.pop(self._first, 0)

    def cover(self, block: Block) -> bool:
        """Whether all events of the block have been judged; a block without any has nothing to judge."""
        return self._judged >= block.header.sequence or not has_events(block)

    def of(self, event: Event) -> tuple[Violation, ...]:
        records = self._violations.pop(event.sequence, None)
        return tuple(self._made(records, event)) if records else ()

    def _keep(self, record: Mapping[str, Any]) -> None:
        sequence = record.get("event")
        if isinstance(sequence, int):
            self._violations.setdefault(sequence, []).append(record)
        else:
            self.bad_records += 1

    def _made(self, records: Iterable[Mapping[str, Any]], event: Event) -> Iterator[Violation]:
        for record in records:
            try:
                rule = read_rule(record.get("rule"))
                rule = self._rules.setdefault(rule, rule)
                yield Violation(rule, event, read_matched(record), text(record, "summary"))
            except TraceError:
                self.bad_records += 1


class RecordedTrace:
    """A whole trace; `items` hands out every event with its violations. Close it after use.

    session       its session record
    losses        records lost by ring, as far as the trace was read
    damage        why reading stopped early; None at an end that is sound
    ended         the end record was reached: the session was not cut off
    unjudged      events without a verdict: the engine did not come to judge them, or a rule failed on them
    bad_records   records that could not be read

    All but the session are known when `items` has come to its end. Actions of Rubicon's own, in what was read
    so far, wait for `take_actions`.
    """

    def __init__(
        self,
        path: Path,
        judge: Judge | None = None,
        decoder: Decode | None = None,
        steps: Records | None = None,
        *,
        learn_rules: LearnRules | None = None,
    ) -> None:
        self.losses = {"critical": 0, "bulk": 0}
        self._taken: deque[Taken] = deque()
        self._uncovered = 0
        self._recorded_failures = 0
        self._verdicts = _Verdicts()
        self._judges = judge is not None
        self._files = ExitStack()
        try:
            self._reader = self._files.enter_context(Reader(path))
            self._ahead = self._files.enter_context(Reader(path))
            judged = protected(self.session, judge) if judge else self._verdicts.of
            if steps is None:
                steps = read_correlated(path, self.session)
            self._pipeline = Pipeline(self.session, judged, decoder, steps, learn_rules=learn_rules)
        except BaseException:
            self.close()
            raise

    @property
    def session(self) -> dict[str, Any]:
        return self._reader.session

    @property
    def damage(self) -> Damage | None:
        return self._reader.damage

    @property
    def ended(self) -> bool:
        return self._reader.ended

    @property
    def steps(self) -> Sequence[Step]:
        """The steps that were told of in what was read so far."""
        return self._pipeline.steps

    @property
    def progress(self) -> tuple[int, int]:
        """How much of the file was read, and its size: bytes."""
        return self._reader.read_bytes, self._reader.size_bytes

    @property
    def unjudged(self) -> int:
        return self._uncovered + self._pipeline.failed_judgements + self._recorded_failures

    @property
    def bad_records(self) -> int:
        return self._pipeline.bad_records + self._verdicts.bad_records

    def items(self) -> Iterator[Judged]:
        """Once: the events in order. Needs little memory however long the trace is."""
        ahead = iter(self._ahead)
        for block in self._reader:
            header = block.header
            self.losses = {"critical": header.lost_critical, "bulk": header.lost_bulk}
            covered = self._judges or self._look_ahead(block, ahead)
            if before := self._verdicts.events_before(block):
                self._pipeline.begin_after(before)
            self._taken.extend(actions_in(block.context))
            for item in self._pipeline.push(block):
                self._uncovered += not covered
                yield item
            if block.ends_trace and not self._judges:
                self._recorded_failures = sum(map(failed_judgements, block.context))

    def _look_ahead(self, block: Block, ahead: Iterator[Block]) -> bool:
        """Read on to where the block's verdicts are, for them alone; the blocks between are read again."""
        while not self._verdicts.cover(block):
            later = next(ahead, None)
            if later is None:
                return False
            self._verdicts.learn(later.context)
        return True

    def take_actions(self) -> Iterator[Taken]:
        """The actions that came up since this was asked last."""
        while self._taken:
            yield self._taken.popleft()

    def close(self) -> None:
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def failed_judgements(record: Mapping[str, Any]) -> int:
    """On how many events a rule failed, as an end record tells; 0 for any other."""
    count = record.get("unjudged") if record["type"] == "end" else 0
    return count if isinstance(count, int) else 0


def open_trace(
    path: Path,
    judge: Judge | None = None,
    learn_rules: LearnRules | None = None,
    *,
    steps: Records | None = None,
) -> RecordedTrace:
    """`path` with the violations recorded in it, or with `judge` as these rules see it now; `learn_rules` is
    told of each record of rules when it is come by.

    Steps that were found afterwards are taken from beside it (`tracer.trace.correlated`), unless they are
    given. Raises TraceError when it is no trace or what is beside it is not of it, AbiMismatch when its
    records are of another version.
    """
    return RecordedTrace(path, judge, steps=steps, learn_rules=learn_rules)
