"""What a session came to, and whom it tells what it finds meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tracer.events import Action, Level, Taken, Violation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a session came to.

    actions     events by kind
    losses      by ring; what a full disk made us drop is among them
    unjudged    events on which a rule failed
    bad_records records that could not be read
    left        processes that still ran when the watch ended
    written     the trace holds all of it
    """

    actions: Mapping[Action, int]
    violations: Mapping[Level, int]
    losses: Mapping[str, int]
    unjudged: int = 0
    bad_records: int = 0
    left: int = 0
    written: bool = True

    @property
    def events(self) -> int:
        return sum(self.actions.values())

    @property
    def complete(self) -> bool:
        """Whether everything was seen, judged and written down."""
        missing = self.unjudged or self.bad_records or any(self.losses.values())
        return self.written and not missing

    def worst(self) -> Level | None:
        """The highest level that was violated."""
        levels = [level for level, count in self.violations.items() if count]
        return max(levels, key=lambda each: each.rank, default=None)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the session tells. Called from its threads, which must not be kept long; an exception in
    `on_violations` ends the judging, one in the others is passed over."""

    on_violations: Callable[[Sequence[Violation]], object] = lambda _: None
    on_notice: Callable[[str], object] = lambda _: None
    on_action: Callable[[Taken], object] = lambda _: None
