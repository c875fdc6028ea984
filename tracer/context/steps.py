"""Which step of the agent an event belongs to: what was told, and when, against who began what, and when.

A process belongs to the step that started it, and its children with it, however long they live: what was left
in the background in one step and goes astray in a later one is of the first. A process from before any step,
the agent itself mostly, acts for the step that is open. Of several open ones it is

    1. the one whose command the new program was started with,
    2. the one that RUBICON_STEP or TRACEPARENT in the environment of the new program names,
    3. the one that was told for the very process that forked (a shell that is kept for all steps),
    4. the newest.

Where no step was told by a mark, it is what the environment says: RUBICON_STEP its id, TRACEPARENT its span,
whose id is that of the step when nothing else is; for the program that was started with it and all that comes
from that. A mark goes before the environment, for an agent that lives through many steps keeps the
environment of its start.

Marks may be known ahead, when they were found afterwards (`tracer.correlate`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from tracer.context.fields import number, text
from tracer.context.images import TICK_NS
from tracer.context.recent import Recent
from tracer.errors import TraceError
from tracer.events import CERTAIN, Process, Step
from tracer.records import Kind

MARKS_KEPT = 512  # of those that have ended, and of those that are open
PROCESSES_KEPT = 131_072  # as many as the tree has alive
BEGUN_KEPT = 100_000
_FORK, _EXEC = int(Kind.FORK), int(Kind.EXEC)
_FOREVER = 1 << 64
_TRACE_CONTEXT = re.compile(r"-|[0-9a-f]{32}-[0-9a-f]{16}")  # https://www.w3.org/TR/trace-context/
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

_Key = tuple[int, int]  # pid, start in ticks since boot


@dataclass(slots=True)
class _Mark:
    """Times in nanoseconds since boot; `root` is None when it is for all that is watched."""

    step: Step
    root: _Key | None
    command: str
    begin_ns: int
    end_ns: int = _FOREVER

    def covers(self, time_ns: int) -> bool:
        return self.begin_ns <= time_ns < self.end_ns


_begin_ns = attrgetter("begin_ns")


class Steps:
    """`told` is false until a first step was: then nothing need be asked. `ahead`: marks by time."""

    def __init__(self, ahead: Iterable[Mapping[str, Any]] = ()) -> None:
        self._ahead = deque(ahead)
        self.told = bool(self._ahead)
        self._begun: dict[Step, None] = {}
        self._open: list[_Mark] = []
        self._ended: list[_Mark] = []
        self._last_end_ns = 0
        self._of: Recent[_Key, Step] = Recent(PROCESSES_KEPT)
        self._by_environment: Recent[_Key, Step] = Recent(PROCESSES_KEPT)

    def learn(self, record: Mapping[str, Any]) -> None:
        """A `step` context record. Raises TraceError when it is not one."""
        step = _step(record)
        time_ns = number(record, "time_ns")
        if text(record, "op") == "end":
            self._end(step, time_ns)
            return
        pid = number(record, "pid", 0)
        root = (pid, number(record, "start_ns") // TICK_NS) if pid else None
        self._open.append(_Mark(step, root, text(record, "command", ""), time_ns))
        del self._open[:-MARKS_KEPT]
        self._begin(step)

    def hear(self, process: Process, variables: Iterable[str]) -> None:
        """What a program that starts has in its environment."""
        step = _step_in(variables)
        if step is not None:
            self._by_environment.put(_key(process), step)
            self._begin(step)

    def begun(self) -> list[Step]:
        """In the order they began, the first of them when there are very many; at the end also those of which
        no event came."""
        while self._ahead:
            self._learn_ahead()
        return list(self._begun)

    def of(self, process: Process, kind: int, time_ns: int) -> Step | None:
        """The step of an event of `process`; `kind` is that of its record."""
        while self._ahead and int(self._ahead[0]["time_ns"]) <= time_ns:
            self._learn_ahead()
        key = _key(process)
        if kind == _FORK:
            step = self._keep(key, self._forked(process, time_ns))
            self._hand_down(process, key)
        elif kind == _EXEC:
            step = self._keep(key, self._executed(process, key, time_ns))
        else:
            step = self._of.get(key) or self._current(process, time_ns)
        return step or self._by_environment.get(key)

    def _learn_ahead(self) -> None:
        with suppress(TraceError):  # a file beside the trace that somebody has changed
            self.learn(self._ahead.popleft())

    def _begin(self, step: Step) -> None:
        self.told = True
        if len(self._begun) < BEGUN_KEPT:
            self._begun[step] = None

    def _forked(self, process: Process, time_ns: int) -> Step | None:
        parent = process.parent
        if parent is None:
            return self._current(process, time_ns)
        key = _key(parent)
        own = next((mark.step for mark in self._covering(time_ns) if mark.root == key), None)
        return own or self._of.get(key) or self._current(process, time_ns)

    def _hand_down(self, process: Process, key: _Key) -> None:
        if process.parent and (step := self._by_environment.get(_key(process.parent))):
            self._by_environment.put(key, step)

    def _executed(self, process: Process, key: _Key, time_ns: int) -> Step | None:
        command = process.command_line
        named = (mark for mark in self._covering(time_ns) if mark.command and mark.command in command)
        mark = next(named, None) or self._named_by_environment(key, time_ns)
        return mark.step if mark else self._of.get(key) or self._current(process, time_ns)

    def _named_by_environment(self, key: _Key, time_ns: int) -> _Mark | None:
        step = self._by_environment.get(key)
        if step is None:
            return None
        return next((mark for mark in self._covering(time_ns) if _names(step, mark.step)), None)

    def _current(self, process: Process, time_ns: int) -> Step | None:
        lineage: set[_Key] | None = None
        for mark in self._covering(time_ns):
            if mark.root is None:
                return mark.step
            if lineage is None:
                lineage = {_key(each) for each in process.lineage()}
            if mark.root in lineage:
                return mark.step
        return None

    def _covering(self, time_ns: int) -> Iterator[_Mark]:
        """The newest first. Most events are later than all ends there were: then the open ones are enough."""
        marks = self._open
        if time_ns < self._last_end_ns:
            marks = sorted([*self._ended, *self._open], key=_begin_ns)
        return (mark for mark in reversed(marks) if mark.covers(time_ns))

    def _keep(self, key: _Key, step: Step | None) -> Step | None:
        if step is not None:
            self._of.put(key, step)
        return step

    def _end(self, step: Step, time_ns: int) -> None:
        for place, mark in reversed(list(enumerate(self._open))):
            if (mark.step.id, mark.step.call_id) == (step.id, step.call_id):
                mark.end_ns = time_ns
                self._last_end_ns = max(self._last_end_ns, time_ns)
                self._ended.append(self._open.pop(place))
                del self._ended[:-MARKS_KEPT]
                return


def _step(record: Mapping[str, Any]) -> Step:
    step = Step(
        text(record, "step"),
        tool=text(record, "tool", ""),
        episode=text(record, "episode", ""),
        call_id=text(record, "call_id", ""),
        trace_id=text(record, "trace_id", ""),
        span_id=text(record, "span_id", ""),
        confidence=min(number(record, "confidence", CERTAIN), CERTAIN),
    )
    if not step.id or not _TRACE_CONTEXT.fullmatch(f"{step.trace_id}-{step.span_id}"):
        raise TraceError("a step without an id, or with one of a trace that is none")
    return step


def _step_in(variables: Iterable[str]) -> Step | None:
    """Of an environment; None when it names none."""
    found = dict(variable.partition("=")[::2] for variable in reversed(list(variables)))
    context = _TRACEPARENT.fullmatch(found.get("TRACEPARENT", ""))
    trace_id, span_id = context.groups() if context else ("", "")
    name = found.get("RUBICON_STEP", "") or span_id
    return Step(name, trace_id=trace_id, span_id=span_id) if name else None


def _names(by_environment: Step, told: Step) -> bool:
    if by_environment.span_id and by_environment.span_id == told.span_id:
        return by_environment.trace_id == told.trace_id
    return by_environment.id == told.id


def _key(process: Process) -> _Key:
    return process.pid, process.start_ns // TICK_NS
