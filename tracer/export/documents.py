"""A trace as a stream of ECS documents: what every format of this package is written from.

Each event, then its violations; actions of Rubicon's own where they came up; the summary last. A stream
without the summary was cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tracer.events import Event, Level, Taken, Violation
from tracer.export.ecs import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    event_document,
    timestamp,
    violation_document,
)

Document = dict[str, Any]
Item = tuple[Event, Sequence[Violation]]


class Outlook(StrEnum):
    """The verdict on a whole session."""

    CLEAN = "clean"  # everything was seen, and nothing broke a rule
    VIOLATED = "violated"
    INCOMPLETE = "incomplete"  # nothing broke a rule, but not everything was seen


@dataclass(frozen=True, slots=True)
class Closing:
    """What is known only after the last event.

    losses        records lost by ring
    damage        why the trace stops early, or ""
    unjudged      events that no rule has judged: the trace was cut off before
    bad_records   records that could not be read, and so are no events
    """

    losses: Mapping[str, int] = field(default_factory=dict)
    damage: str = ""
    unjudged: int = 0
    bad_records: int = 0


@dataclass(slots=True)
class Summary:
    """What a stream held: events by action, violations by level, and what `Closing` says."""

    actions: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    closing: Closing = field(default_factory=Closing)
    last_ns: int = 0  # time of the last event, nanoseconds since the Unix epoch

    @property
    def events(self) -> int:
        return self.actions.total()

    @property
    def verdict(self) -> Outlook:
        if self.violations.total():
            return Outlook.VIOLATED
        closing = self.closing
        incomplete = closing.damage or closing.unjudged or closing.bad_records or any(closing.losses.values())
        return Outlook.INCOMPLETE if incomplete else Outlook.CLEAN

    def add(self, event: Event, violations: Sequence[Violation]) -> None:
        self.actions[event.action.value] += 1
        self.last_ns = max(self.last_ns, event.time_ns)
        for violation in violations:
            self.violations[violation.rule.level.value] += 1


class Documents:
    """The documents of `items`, to be gone through once, in constant memory.

    `only_violations` leaves out the events; the summary counts them either way. `closing` is called after the
    last item, `taken` after each for the actions that came up since. `change` makes other documents of
    them all, the summary too (`redact`).
    """

    def __init__(
        self,
        items: Iterable[Item],
        session: SessionFacts,
        *,
        only_violations: bool = False,
        closing: Callable[[], Closing] = Closing,
        taken: Callable[[], Iterable[Taken]] = tuple,
        change: Callable[[Iterable[Document]], Iterator[Document]] | None = None,
    ) -> None:
        self.session = session
        self.summary = Summary()
        self._items = items
        self._only_violations = only_violations
        self._closing = closing
        self._taken = taken
        self._change = change

    def __iter__(self) -> Iterator[Document]:
        documents = self._documents()
        return self._change(documents) if self._change else documents

    def _documents(self) -> Iterator[Document]:
        session, processes = self.session, ProcessDocuments()
        for event, violations in self._items:
            yield from self._actions()
            self.summary.add(event, violations)
            if not self._only_violations:
                yield event_document(event, session, processes)
            for violation in violations:
                yield violation_document(violation, session, processes)
        yield from self._actions()
        self.summary.closing = self._closing()
        yield summary_document(self.summary, session)

    def _actions(self) -> Iterator[Document]:
        return (action_document(taken, self.session) for taken in self._taken())


def summary_document(summary: Summary, session: SessionFacts) -> Document:
    """The last object of a stream: `event.kind` "metric", `event.action` "summary"."""
    closing = summary.closing
    counts: dict[str, Any] = {
        "events": summary.events,
        "actions": dict(sorted(summary.actions.items())),
        "violations": {level.value: summary.violations[level.value] for level in Level},
        "losses": {ring: closing.losses.get(ring, 0) for ring in ("critical", "bulk")},
        "verdict": summary.verdict.value,
    }
    if closing.damage:
        counts["damage"] = closing.damage
    if closing.unjudged:
        counts["unjudged"] = closing.unjudged
    if closing.bad_records:
        counts["bad_records"] = closing.bad_records
    return {
        "@timestamp": timestamp(summary.last_ns or session.start_ns),
        "event": {"kind": "metric", "action": "summary"},
        "rubicon": {
            "session": session.session,
            "target": session.target,
            "tier": session.tier,
            "summary": counts,
        },
    }
