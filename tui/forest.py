"""The processes of a session as a tree, in bounded memory.

Exited processes that nobody hangs on are folded away, the oldest first and those that broke no rule before
those that did; each fold is counted at the parent. When even the running ones are too many, new ones are not
taken in. A violation of a process that is not in the tree counts for its nearest ancestor that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tracer.events import (
    Action,
    Category,
    Event,
    Exit,
    File,
    Level,
    Network,
    Outcome,
    Process,
    Violation,
    worse,
)
from tui import describe
from tui.snapshot import Counts, ProcessRow

MAX_EXITED = 150
MAX_PROCESSES = 2_000
MAX_REMEMBERED = 30  # files and peers of one process


@dataclass(slots=True, eq=False)
class _Node:
    process: Process
    parent: _Node | None
    children: list[_Node] = field(default_factory=list)
    folded: int = 0
    exit: Exit | None = None
    exited_ns: int = 0
    execs: int = 0
    connects: int = 0
    files: int = 0
    failures: int = 0
    level: Level | None = None
    violations: int = 0
    own_violations: int = 0
    written: dict[str, int] = field(default_factory=dict)
    peers: dict[str, int] = field(default_factory=dict)


class Forest:
    """Takes events and violations in, gives the rows of the tree out. `folded` counts what is not shown."""

    def __init__(self, max_exited: int = MAX_EXITED, max_processes: int = MAX_PROCESSES) -> None:
        self.folded = 0
        self.seen = 0
        self._max_exited = max_exited
        self._max_processes = max_processes
        self._nodes: dict[str, _Node] = {}
        self._roots: list[_Node] = []
        self._exited: dict[str, _Node] = {}  # oldest first
        self._absent: dict[str, None] = {}  # folded or never taken in; oldest first
        self._rows: tuple[ProcessRow, ...] = ()
        self._changed = False

    def __getstate__(self) -> dict[str, Any]:
        """Flat, as a row of processes may be long: each node with the entity it hangs on."""
        nodes = [
            (node.parent.process.entity_id if node.parent else "", replace(node, parent=None, children=[]))
            for node in self._in_order()
        ]
        bounds = self._max_exited, self._max_processes
        return {
            "counts": (self.folded, self.seen, *bounds),
            "nodes": nodes,
            "exited": list(self._exited),
            "absent": list(self._absent),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        folded, seen, *bounds = state["counts"]
        Forest.__init__(self, *bounds)
        self.folded, self.seen, self._changed = folded, seen, True
        for parent, node in state["nodes"]:
            self._nodes[node.process.entity_id] = node
            node.parent = self._nodes.get(parent)
            (node.parent.children if node.parent else self._roots).append(node)
        self._exited = {entity: self._nodes[entity] for entity in state["exited"]}
        self._absent = dict.fromkeys(state["absent"])

    def _in_order(self) -> list[_Node]:
        """Those above before those below."""
        order, stack = [], list(reversed(self._roots))
        while stack:
            node = stack.pop()
            order.append(node)
            stack.extend(reversed(node.children))
        return order

    def add_event(self, event: Event) -> None:
        node = self._nodes.get(event.process.entity_id) or self._take_in(event.process)
        if node is None:
            return
        self._changed = True
        node.process = event.process
        _count(node, event)
        if event.action is Action.EXIT and isinstance(event.detail, Exit):
            node.exit, node.exited_ns = event.detail, event.time_ns
            self._exited[event.process.entity_id] = node
            self._fold()

    def add_violation(self, violation: Violation) -> None:
        process, level = violation.event.process, violation.rule.level
        node = self._nearest(process)
        if node is None:
            return
        self._changed = True
        if node.process.entity_id == process.entity_id:
            node.own_violations += 1
        ancestor: _Node | None = node
        while ancestor is not None:
            ancestor.violations += 1
            ancestor.level = worse(ancestor.level, level)
            ancestor = ancestor.parent

    def rows(self) -> tuple[ProcessRow, ...]:
        """In drawing order; the same tuple as before when nothing changed."""
        if self._changed:
            self._rows = tuple(self._walk())
            self._changed = False
        return self._rows

    def _nearest(self, process: Process) -> _Node | None:
        """The node of `process`, or of its nearest ancestor that has one."""
        found = (self._nodes.get(each.entity_id) for each in process.lineage())
        return next((node for node in found if node is not None), None)

    def _take_in(self, process: Process) -> _Node | None:
        """A new node; None when it was folded before (late events), or there are too many."""
        if process.entity_id in self._absent:
            return None
        self.seen += 1
        if len(self._nodes) >= self._max_processes:
            self._set_absent(process.entity_id)
            return None
        parent = self._nearest(process)
        node = self._nodes[process.entity_id] = _Node(process, parent)
        (parent.children if parent else self._roots).append(node)
        return node

    def _set_absent(self, entity_id: str) -> None:
        self.folded += 1
        self._absent[entity_id] = None
        if len(self._absent) > self._max_processes:
            del self._absent[next(iter(self._absent))]

    def _fold(self) -> None:
        """Forget the exited leaf that matters least, when there are too many."""
        if len(self._exited) <= self._max_exited:
            return
        leaves = [node for node in self._exited.values() if not node.children]
        victim = next((node for node in leaves if not node.own_violations), leaves[0] if leaves else None)
        if victim is not None:
            self._remove(victim)

    def _remove(self, node: _Node) -> None:
        entity_id = node.process.entity_id
        del self._nodes[entity_id], self._exited[entity_id]
        (node.parent.children if node.parent else self._roots).remove(node)
        if node.parent:
            node.parent.folded += node.folded + 1
        self._set_absent(entity_id)

    def _running(self) -> dict[int, int]:
        """How many run in the subtree of each node, by its identity."""
        running = {id(node): int(node.exit is None) for node in self._nodes.values()}
        for node in reversed(self._in_order()):
            if node.parent is not None:
                running[id(node.parent)] += running[id(node)]
        return running

    def _walk(self) -> list[ProcessRow]:
        rows: list[ProcessRow] = []
        running = self._running()
        stack = [(node, "", "") for node in reversed(self._roots)]
        while stack:
            node, guides, below = stack.pop()
            rows.append(_row(node, guides, running[id(node)]))
            last = len(node.children) - 1
            for index in range(last, -1, -1):
                branch, trunk = ("└", " ") if index == last else ("├", "│")
                stack.append((node.children[index], below + branch, below + trunk))
        return rows


def _count(node: _Node, event: Event) -> None:
    if event.category is Category.FILE:
        node.files += 1
        _remember_file(node.written, event)
    elif event.category is Category.NETWORK:
        node.connects += 1
        _remember_peer(node.peers, event)
    elif event.action is Action.EXEC:
        node.execs += 1
    if event.outcome is Outcome.FAILURE:
        node.failures += 1


def _remember_file(written: dict[str, int], event: Event) -> None:
    file = event.detail
    if not isinstance(file, File) or event.outcome is Outcome.FAILURE or not file.path:
        return
    written[file.path] = written.pop(file.path, 0) + file.bytes_written
    if len(written) > MAX_REMEMBERED:
        del written[next(iter(written))]


def _remember_peer(peers: dict[str, int], event: Event) -> None:
    network = event.detail
    if not isinstance(network, Network) or event.action not in (Action.CONNECT, Action.ACCEPT, Action.SEND):
        return
    if event.action is Action.SEND and network.more is not None:  # its connect was counted
        return
    peer = describe.source(network) if event.action is Action.ACCEPT else describe.endpoint(network)
    peers[peer] = peers.pop(peer, 0) + 1
    if len(peers) > MAX_REMEMBERED:
        del peers[next(iter(peers))]


def _row(node: _Node, guides: str, running: int) -> ProcessRow:
    return ProcessRow(
        process=node.process,
        guides=guides,
        children=len(node.children),
        folded=node.folded,
        exit=node.exit,
        exited_ns=node.exited_ns,
        counts=Counts(node.execs, node.connects, node.files, node.failures),
        level=node.level,
        violations=node.violations,
        own_violations=node.own_violations,
        running=running,
        written=MappingProxyType(dict(node.written)),
        peers=MappingProxyType(dict(node.peers)),
    )
