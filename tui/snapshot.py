"""What the widgets draw: frozen values, made by `tui.model` at a fixed rate and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tracer.events import Event, Exit, Level, Process, Taken, Violation


class Verdict(StrEnum):
    """What can be said of the session. Incomplete: nothing wrong was seen, and not everything was seen."""

    CLEAN = "clean"
    VIOLATED = "violated"
    INCOMPLETE = "incomplete"


class State(StrEnum):
    """Of the trace: still written, ended with its end record, cut off without one, or not readable on."""

    OPENING = "opening"
    LIVE = "live"
    FINISHED = "finished"
    CUT = "cut"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Session:
    """The session record of the trace, as far as it is shown. `started_ns` is since the Unix epoch."""

    id: str = ""
    target: str = ""
    command: tuple[str, ...] = ()
    host: str = ""
    kernel: str = ""
    started_ns: int = 0


@dataclass(frozen=True, slots=True)
class Losses:
    """Records the kernel could not hand over, by ring; cumulative."""

    critical: int = 0
    bulk: int = 0

    @property
    def total(self) -> int:
        return self.critical + self.bulk


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of the header. `violations` has a count for each level seen; `notice` is the newest one."""

    session: Session = Session()
    state: State = State.OPENING
    verdict: Verdict = Verdict.CLEAN
    duration_ns: int = 0
    events: int = 0
    events_per_s: int = 0
    processes: int = 0
    violations: Mapping[Level, int] = field(default_factory=dict)
    losses: Losses = Losses()
    lag_bytes: int = 0
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of one process by family; `failures` are also in the others."""

    execs: int = 0
    connects: int = 0
    files: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ProcessRow:
    """A process in the tree, in drawing order.

    guides      one character a level above: "│" when that ancestor has a later sibling, " " when not; the
                last is "├" or "└" of the row itself. Empty for a root.
    children    direct ones that are shown; `folded` counts exited descendants that are shown no more
    exit        None while it runs
    level, violations           worst and number in the subtree; `own_violations` its own among them
    """

    process: Process
    guides: str
    children: int
    folded: int
    exit: Exit | None
    exited_ns: int
    counts: Counts
    level: Level | None
    violations: int
    own_violations: int


@dataclass(frozen=True, slots=True, eq=False)
class ViolationGroup:
    """The same rule broken by the same process in the same words, `count` times; `violation` is the last.

    `taken` is what was done about one of them, the newest; None as long as nothing was.
    """

    violation: Violation
    count: int
    first_ns: int
    last_ns: int
    taken: Taken | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything on the screen. A part that did not change is the same object as in the snapshot before.

    violations      newest first
    events          oldest first, those that pass `filter`; `levels` has the worst violation level by sequence
    """

    summary: Summary = field(default_factory=Summary)
    processes: tuple[ProcessRow, ...] = ()
    folded: int = 0
    violations: tuple[ViolationGroup, ...] = ()
    events: tuple[Event, ...] = ()
    levels: Mapping[int, Level] = field(default_factory=dict)
    filter: str = ""
