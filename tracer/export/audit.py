"""What an audit report says of a trace, gathered in one pass and in bounded memory.

What is kept of each kind has a limit; beyond it things are counted, and the report says how many it leaves
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tracer.events import (
    Action,
    Category,
    Event,
    Exit,
    File,
    Flow,
    Level,
    Network,
    Outcome,
    Process,
    Violation,
    worse,
)

PROCESSES_KEPT = 3_000
PEERS_KEPT = 2_000
FILES_KEPT = 5_000
GROUPS_KEPT = 1_000  # of violations
EXAMPLES_KEPT = 5  # of a group
BINS = 120
_FAMILIES = (Category.PROCESS, Category.NETWORK, Category.FILE)
_WRITES = frozenset({Action.FILE_WRITE, Action.FILE_RENAME, Action.FILE_LINK, Action.FILE_SYMLINK})


@dataclass(slots=True)
class Group:
    """The violations of one rule by one executable."""

    first: Violation
    count: int = 0
    last_ns: int = 0
    examples: list[Violation] = field(default_factory=list)

    def add(self, violation: Violation) -> None:
        self.count += 1
        self.last_ns = violation.event.time_ns
        if len(self.examples) < EXAMPLES_KEPT:
            self.examples.append(violation)


@dataclass(slots=True)
class Node:
    """A process: the newest image it ran, and what became of it."""

    process: Process
    violations: int = 0
    worst: Level | None = None
    ended: str = ""
    children: list[Node] = field(default_factory=list)

    def add(self, event: Event, violations: Sequence[Violation]) -> None:
        self.process = event.process
        if isinstance(event.detail, Exit):
            exit_ = event.detail
            self.ended = f"signal {exit_.signal}" if exit_.signal else f"exit {exit_.code}"
        for violation in violations:
            self.violations += 1
            self.worst = worse(self.worst, violation.rule.level)


@dataclass(slots=True)
class Peer:
    """Whom the sandbox spoke to: an address of the internet with its port, or a socket's path."""

    address: str
    port: int
    domain: str = ""
    connects: int = 0
    refused: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    programs: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Timeline:
    """Counts over time, at most BINS of them: when they run out, each becomes twice as wide.

    A bin has the events of each family and, last, the violations.
    """

    start_ns: int = 0
    width_ns: int = 100_000_000
    bins: list[list[int]] = field(default_factory=list)

    def add(self, event: Event, violations: int) -> None:
        if not self.bins:
            self.start_ns = event.time_ns
        place = max(0, event.time_ns - self.start_ns) // self.width_ns
        while place >= BINS:
            self._halve()
            place = (event.time_ns - self.start_ns) // self.width_ns
        while len(self.bins) <= place:
            self.bins.append([0] * (len(_FAMILIES) + 1))
        if event.category in _FAMILIES:
            self.bins[place][_FAMILIES.index(event.category)] += 1
        self.bins[place][-1] += violations

    def _halve(self) -> None:
        if len(self.bins) % 2:
            self.bins.append([0] * (len(_FAMILIES) + 1))
        pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
        self.bins = [[a + b for a, b in zip(one, other, strict=True)] for one, other in pairs]
        self.width_ns *= 2


class Audit:
    """`outside` tells whether a written path is outside of where the sandbox works."""

    def __init__(self, workspaces: Sequence[str]) -> None:
        self.workspaces = tuple(workspaces)
        self.timeline = Timeline()
        self.nodes: dict[str, Node] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self.peers: dict[tuple[str, int], Peer] = {}
        self.outside: Counter[str] = Counter()
        self.inside = 0
        self.evidence: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def take(self, items: Iterable[tuple[Event, Sequence[Violation]]]) -> None:
        for event, violations in items:
            self.timeline.add(event, len(violations))
            self.evidence[event.evidence.value] += 1
            self._node(event, violations)
            for violation in violations:
                self._group(violation)
            detail = event.detail
            if isinstance(detail, Network):
                self._peer(event, detail)
            elif isinstance(detail, File) and event.action in _WRITES and event.outcome is Outcome.SUCCESS:
                self._file(detail.path)

    def _node(self, event: Event, violations: Sequence[Violation]) -> None:
        node = self.nodes.get(event.process.entity_id)
        if node is None:
            if len(self.nodes) >= PROCESSES_KEPT and not violations:
                self.left_out["processes"] += 1
                return
            node = self.nodes[event.process.entity_id] = Node(event.process)
        node.add(event, violations)

    def _group(self, violation: Violation) -> None:
        key = violation.rule.id, violation.event.process.executable
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= GROUPS_KEPT:
                self.left_out["violations"] += 1
                return
            group = self.groups[key] = Group(violation)
        group.add(violation)

    def _peer(self, event: Event, detail: Network) -> None:
        address = detail.destination_ip or detail.path
        if event.action not in (Action.CONNECT, Action.SEND, Action.ACCEPT, Action.FLOW) or not address:
            return
        key = address, detail.destination_port
        peer = self.peers.get(key)
        if peer is None:
            if len(self.peers) >= PEERS_KEPT:
                self.left_out["peers"] += 1
                return
            peer = self.peers[key] = Peer(*key)
        peer.domain = peer.domain or detail.destination_domain
        peer.programs.add(event.process.executable)
        if isinstance(detail.more, Flow):
            peer.bytes_in += detail.more.bytes_in
            peer.bytes_out += detail.more.bytes_out
        elif event.action is Action.CONNECT:
            peer.connects += 1
            peer.refused += event.outcome is Outcome.FAILURE

    def _file(self, path: str) -> None:
        if any(_is_below(path, workspace) for workspace in self.workspaces):
            self.inside += 1
        elif path in self.outside or len(self.outside) < FILES_KEPT:
            self.outside[path] += 1
        else:
            self.left_out["files"] += 1

    def worst_first(self) -> list[Group]:
        return sorted(
            self.groups.values(), key=lambda each: (-each.first.rule.level.rank, each.first.event.time_ns)
        )

    def roots(self) -> list[Node]:
        """The process tree: each node under the nearest ancestor that is known; once, after `take`."""
        roots: list[Node] = []
        for node in self.nodes.values():
            lineage = node.process.parent.lineage() if node.process.parent else ()
            known = (self.nodes.get(each.entity_id) for each in lineage)
            parent = next((each for each in known if each is not None and each is not node), None)
            (parent.children if parent else roots).append(node)
        return roots


def _is_below(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)
