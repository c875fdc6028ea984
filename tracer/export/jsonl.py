"""JSON lines: one object a line as it comes, ended by a summary. A stream without the summary was cut off.

Only printable ASCII is written, everything else as \\uXXXX: a hostile name can do nothing to a terminal that
shows the stream, and no reader disagrees about where a line ends. The standard library's encoder is used: it
takes less than half of an event's time here (9 of 23 us); a faster one is one more dependency to trust.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO

from tracer.events import Event, Level, Taken, Violation
from tracer.export.ecs import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    event_document,
    timestamp,
    violation_document,
)


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


def write_jsonl(
    items: Iterable[tuple[Event, Sequence[Violation]]],
    session: SessionFacts,
    out: TextIO,
    *,
    only_violations: bool = False,
    closing: Callable[[], Closing] = Closing,
    taken: Callable[[], Iterable[Taken]] = tuple,
) -> Summary:
    """Write each event and then its violations, and last the summary, which counts all events either way.

    `closing` is called after the last item, `taken` after each for the actions that came up since. Errors of
    `out` (OSError) pass through.
    """
    summary, processes = Summary(), ProcessDocuments()

    def write_actions() -> None:
        out.writelines(line_of(action_document(action, session)) for action in taken())

    for event, violations in items:
        write_actions()
        summary.add(event, violations)
        if not only_violations:
            out.write(line_of(event_document(event, session, processes)))
        for violation in violations:
            document = violation_document(violation, session, processes)
            out.write(line_of(document))
    write_actions()
    summary.closing = closing()
    out.write(line_of(summary_document(summary, session)))
    return summary


def summary_document(summary: Summary, session: SessionFacts) -> dict[str, Any]:
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


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def line_of(document: Mapping[str, Any]) -> str:
    """A document as one line of JSON, with its line end. DEL is the one control byte JSON lets through."""
    return _encode(document).replace("\x7f", "\\u007f") + "\n"
