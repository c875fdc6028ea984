"""The filter line: words that an event or a violation must have, and with `!` must not have."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.events import Event, Violation
from tui import describe


@dataclass(frozen=True, slots=True)
class Filter:
    """`wanted` and `unwanted` are substrings in lower case; all of them count."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Words between blanks. Every text is a filter; a lone `!` says nothing."""
        words = text.lower().split()
        unwanted = tuple(word[1:] for word in words if word.startswith("!") and len(word) > 1)
        return cls(tuple(word for word in words if not word.startswith("!")), unwanted)

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def passes_event(self, event: Event) -> bool:
        return not self or self._passes(event_text(event))

    def passes_violation(self, violation: Violation) -> bool:
        return not self or self._passes(violation_text(violation))

    def _passes(self, text: str) -> bool:
        text = text.lower()
        return all(word in text for word in self.wanted) and not any(word in text for word in self.unwanted)


def event_text(event: Event) -> str:
    """What is searched: more or less what the event's line and details show."""
    process = event.process
    words = (event.action, str(process.pid), process.name, process.executable, event.outcome)
    return " ".join((*words, describe.error_name(event.error), describe.subject(event)))


def violation_text(violation: Violation) -> str:
    rule = violation.rule
    words = (rule.level, rule.id, rule.name, *rule.techniques, violation.summary)
    return " ".join((*words, event_text(violation.event)))
