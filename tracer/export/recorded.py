"""A recorded trace as documents: what is selected of it, and what is missing from it.

Whoever hands out something of a trace goes this way, so that none of them forgets to admit the losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.export.documents import Closing, Documents, Item
from tracer.export.ecs import session_facts
from tracer.export.following import FollowedTrace
from tracer.export.redact import Redactor
from tracer.pipeline import RecordedTrace
from tracer.where import Where

Source = RecordedTrace | FollowedTrace
CUT = "no end record: the session was cut off, or it still runs"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events, and in what form. Times are nanoseconds since the Unix epoch, `until_ns` is beyond."""

    where: Where = field(default_factory=Where)
    since_ns: int = 0
    until_ns: int = 1 << 63
    only_violations: bool = False
    redact: bool = False

    def of(self, items: Iterator[Item]) -> Iterator[Item]:
        where, since_ns, until_ns = self.where, self.since_ns, self.until_ns
        return (
            (event, violations)
            for event, violations in items
            if since_ns <= event.time_ns < until_ns and (not where or where(event, violations))
        )


def documents_of(trace: Source, selection: Selection = Selection()) -> Documents:
    """What is selected. The summary counts that; losses and faults are those of the whole trace."""
    return Documents(
        selection.of(trace.items()),
        session_facts(trace.session),
        only_violations=selection.only_violations,
        closing=lambda: closing_of(trace),
        taken=trace.take_actions,
        change=Redactor().of if selection.redact else None,
    )


def closing_of(trace: Source) -> Closing:
    """Of a trace that was read to its end."""
    damage = trace.damage.message if trace.damage else "" if trace.ended else CUT
    return Closing(trace.losses, damage, trace.unjudged, trace.bad_records)


def faults(closing: Closing) -> Iterator[str]:
    """What is missing besides losses, in words."""
    if closing.damage:
        yield closing.damage
    if closing.unjudged:
        yield f"events not judged by any rule: {closing.unjudged}"
    if closing.bad_records:
        yield f"records that cannot be read: {closing.bad_records}"
