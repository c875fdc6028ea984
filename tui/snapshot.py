"""What the widgets draw: frozen values, made by `tui.model` at a fixed rate and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tracer.context.images import entity_id
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
class Engine:
    """The process that writes the trace; `start_ns` is since boot."""

    pid: int
    start_ns: int

    @property
    def entity_id(self) -> str:
        return entity_id(self.pid, self.start_ns)


@dataclass(frozen=True, slots=True)
class Session:
    """The session record of the trace, as far as it is shown. `started_ns` is since the Unix epoch."""

    id: str = ""
    target: str = ""
    command: tuple[str, ...] = ()
    host: str = ""
    kernel: str = ""
    started_ns: int = 0
    engine: Engine | None = None
    rule_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Losses:
    """Records the kernel could not hand over, by ring; cumulative."""

    critical: int = 0
    bulk: int = 0

    @property
    def total(self) -> int:
        return self.critical + self.bulk


class Family(StrEnum):
    """What an event is about, in three words; boundary acts count as the process's own."""

    PROCESS = "process"
    NETWORK = "network"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Pulse:
    """How busy a family is: `counts` of events a second, oldest first, and `per_s` over the last two."""

    counts: tuple[int, ...] = ()
    per_s: int = 0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process takes: per cent of one CPU, and resident memory."""

    cpu_percent: float
    memory_bytes: int


class Pace(StrEnum):
    """Of a finished trace that is played again."""

    PLAYING = "playing"
    PAUSED = "paused"
    SEEKING = "seeking"  # as fast as it can, to where it was told to go
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Replay:
    """`now_ns` is how far it is, nanoseconds since the Unix epoch."""

    pace: Pace
    speed: float
    now_ns: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of the header.

    violations  a count for each level seen
    notice      the newest one
    now_ns      the time by which things are old or young: the clock's, of a finished trace that of its end
    progress    of a finished trace that is still read, from 0 to 1; None when there is nothing to wait for
    engine      None when it is not on this machine, or is gone
    read_only   why nothing can be done to what is watched; "" when it can
    """

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
    now_ns: int = 0
    progress: float | None = None
    pulses: Mapping[Family, Pulse] = field(default_factory=dict)
    engine: Vitals | None = None
    read_only: str = ""
    replay: Replay | None = None


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
    running     how many of the subtree run, itself among them
    written     files it wrote, the last ones, with their bytes
    peers       whom it talked to, the last ones, with the number of times
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
    running: int = 0
    written: Mapping[str, int] = field(default_factory=dict)
    peers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ViolationGroup:
    """The same rule broken by the same process in the same words, `count` times; `violation` is the last.

    `taken` is what was done about one of them, the newest; None as long as nothing was.
    `before` and `after` are what the same process did around the last.
    """

    violation: Violation
    count: int
    first_ns: int
    last_ns: int
    taken: Taken | None = None
    acknowledged: bool = False
    before: tuple[Event, ...] = ()
    after: tuple[Event, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Tells it from other groups."""
        event = self.violation.event
        return self.violation.rule.id, event.process.entity_id, self.violation.summary


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """One other end: a domain or an address, and a port. Bytes are of connections that are closed.

    known       an earlier session had it, too
    processes   names, each once, at most a few
    """

    name: str
    ip: str
    port: int
    transport: str
    protocol: str
    connects: int
    failed: int
    bytes_in: int
    bytes_out: int
    first_ns: int
    last_ns: int
    processes: tuple[str, ...]
    level: Level | None
    known: bool
    incoming: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FileRow:
    """A file that was changed, or a folder with such files below it, in drawing order.

    guides      as in `ProcessRow`
    files       how many there are below; 1 for a file
    bytes       written, as far as the files were closed
    writers     names of programs, at most a few
    outside     it is not in the workspace
    """

    path: str
    name: str
    guides: str
    is_folder: bool
    files: int
    bytes: int
    last_ns: int
    writers: tuple[str, ...]
    level: Level | None
    outside: bool
    gone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Counts by time: `start_ns` of the first bin, the width of one, and a row of counts for each family and
    level that had any. All rows are of the same length."""

    start_ns: int
    bin_ns: int
    families: Mapping[Family, tuple[int, ...]]
    levels: Mapping[Level, tuple[int, ...]]

    @property
    def bins(self) -> int:
        return max((len(row) for row in self.families.values()), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything on the screen. A part that did not change is the same object as in the snapshot before.

    violations      newest first
    events          oldest first, those that pass `filter`, and what Rubicon did between them
    levels          the worst violation level by sequence
    elsewhere       the events are not the newest, but those around a moment
    since_ns        from when on events are in memory; 0: all of them are
    vitals          of processes that run on this machine, by their entity
    """

    summary: Summary = field(default_factory=Summary)
    processes: tuple[ProcessRow, ...] = ()
    folded: int = 0
    violations: tuple[ViolationGroup, ...] = ()
    events: tuple[Event | Taken, ...] = ()
    levels: Mapping[int, Level] = field(default_factory=dict)
    filter: str = ""
    elsewhere: bool = False
    since_ns: int = 0
    vitals: Mapping[str, Vitals] = field(default_factory=dict)
