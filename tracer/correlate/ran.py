"""The programs that ran, out of a trace."""

from __future__ import annotations

from tracer.correlate.calls import Ran
from tracer.events import Action, Event, Outcome, Process
from tracer.pipeline import RecordedTrace

RANS_MAX = 1_000_000


def all_of(trace: RecordedTrace) -> list[Ran]:
    """Every exec under watch, in the order of time; a trace is read to its end. At most RANS_MAX."""
    found: list[Ran] = []
    newest: dict[str, Ran] = {}  # of each process that lives
    for event, _ in trace.items():  # noqa: PERF102  not a dict's
        if event.action is Action.EXIT:
            ended = newest.pop(event.process.entity_id, None)
            if ended is not None:
                ended.ended_ns = event.time_ns
        elif _is_start(event) and len(found) < RANS_MAX:
            ran = _ran(event)
            before = newest.get(event.process.entity_id)
            if before is not None:
                before.ended_ns = event.time_ns
            newest[event.process.entity_id] = ran
            found.append(ran)
    return found


def _is_start(event: Event) -> bool:
    return event.action is Action.EXEC and event.outcome is Outcome.SUCCESS and not event.snapshot


def _ran(event: Event) -> Ran:
    process = event.process
    parent = _key(process.parent) if process.parent else None
    return Ran(_key(process), parent, process.start_time_ns, 0, process.args)


def _key(process: Process) -> tuple[int, int]:
    return process.pid, process.start_ns
