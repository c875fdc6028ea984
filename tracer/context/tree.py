"""Which program a process ran, and when; and which process it came from."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Any

from tracer.context.images import TICK_NS, Announced, Images, executable_path, read_announced
from tracer.context.recent import Recent
from tracer.events import Process
from tracer.records import BoundaryRecord, ExecRecord, ForkRecord, Record

# The probes follow at most 65,536 processes; more than that are alive here only when their exits were lost.
LIVE_KEPT = 131_072
EXITED_KEPT = 8_192  # processes, or KiB of their arguments
OUTSIDE_KEPT = 16_384  # processes that are not watched: ancestors, and those that were there before
IMAGES_KEPT = 8  # earlier programs of one process, for records that come late
LINEAGE_MAX = 128  # ancestors of a process; then those in the middle are left out
LINEAGE_OLDEST_KEPT = 16
LINEAGE_NEWEST_KEPT = 48

_since = itemgetter(0)


class _Life:
    """One process from fork to exit: its programs by the time each began, the current one not in the list."""

    __slots__ = ("depth", "earlier", "process", "since_ns")

    def __init__(self, process: Process, since_ns: int, depth: int) -> None:
        self.process = process
        self.since_ns = since_ns
        self.depth = depth  # number of ancestors
        self.earlier: list[tuple[int, Process]] = []

    def at(self, time_ns: int) -> Process:
        """The program at that time; before the first, the first."""
        if time_ns >= self.since_ns or not self.earlier:
            return self.process
        for since_ns, process in reversed(self.earlier):
            if time_ns >= since_ns:
                return process
        return self.earlier[0][1]

    def add(self, process: Process, since_ns: int) -> None:
        if since_ns < self.since_ns:
            insort(self.earlier, (since_ns, process), key=_since)
        else:
            self.earlier.append((self.since_ns, self.process))
            self.process, self.since_ns = process, since_ns
        del self.earlier[:-IMAGES_KEPT]

    def correct(self, old: Process, new: Process) -> None:
        """Put `new`, of which more is known, where `old` was."""
        if self.process is old:
            self.process = new
        self.earlier = [(since_ns, new if process is old else process) for since_ns, process in self.earlier]


_Key = tuple[int, int]  # pid, start in nanoseconds since boot


class ProcessTree:
    """All watched processes, and what is known of the others.

    A record belongs to the program its process ran at the record's time: the two rings are drained one after
    the other, so a file event may arrive after an exec or an exit that happened later. Hence a process that
    has ended is still known for a while.

    A parent is the process that forked, even when it has ended and another took the child over: the lineage
    says how a process came to be.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._live: dict[_Key, _Life] = {}
        self._exited: Recent[_Key, _Life] = Recent(EXITED_KEPT, _weight_of_life)
        self._announced: Recent[_Key, Announced] = Recent(OUTSIDE_KEPT, _weight_of_facts)  # start in ticks
        self._outside: Recent[_Key, tuple[Process, int]] = Recent(OUTSIDE_KEPT)  # with number of ancestors

    def __len__(self) -> int:
        """How many processes are known: live, ended and not watched."""
        return len(self._live) + len(self._exited) + len(self._outside)

    def learn(self, record: Mapping[str, Any]) -> None:
        """A `process` context record. Raises TraceError when it is not one."""
        facts = read_announced(record)
        key = (facts.pid, facts.start_ns // TICK_NS)
        self._announced.put(key, facts)
        self._outside.discard(key)

    def at(self, record: Record) -> Process:
        """The program the process of a record ran when it was made."""
        life = self._live.get((record.pid, record.start_ns)) or self._life(record.pid, record.start_ns)
        process = life.at(record.time_ns)
        return process if process.executable else self._reconsidered(life, process)

    def alive(self, pid: int, start_ns: int) -> Process | None:
        """A process by what /proc says of it, where it began in whole ticks; None when it is not known."""
        ticks = start_ns // TICK_NS
        found = (life for key, life in self._live.items() if key[0] == pid and key[1] // TICK_NS == ticks)
        life = next(found, None)
        return life.process if life else None

    def fork(self, record: ForkRecord) -> Process:
        parent, depth = self._parent(record.parent_pid, record.parent_start_ns, record.time_ns)
        child = self._images.forked(record, parent)
        life = self._find(record.pid, record.start_ns)
        if life is None:
            self._begin(_Life(child, record.time_ns, depth))
        else:  # something was heard of it before it was born
            life.add(child, record.time_ns)
            life.depth = depth
        return child

    def exec(self, record: ExecRecord) -> Process:
        life = self._find(record.pid, record.start_ns)
        parent, depth = self._parent_at_exec(record, life)
        before = life.at(record.time_ns) if life else None
        process = self._images.executed(record, record.args, parent, before)
        if life is None:
            self._begin(_Life(process, record.time_ns, depth))
        else:
            life.add(process, record.time_ns)
            life.depth = depth
        return process

    def change_user(self, record: BoundaryRecord) -> None:
        """The same program goes on as somebody else; whoever it forks then is that, too."""
        life = self._find(record.pid, record.start_ns)
        if life is None:
            return
        process, new = life.at(record.time_ns), record.new
        if (process.user_id, process.group_id, process.effective_user_id) != (new.uid, new.gid, new.euid):
            life.add(self._images.of_user(process, record), record.time_ns)

    def exit(self, record: Record) -> Process:
        process = self.at(record)
        life = self._live.pop((record.pid, record.start_ns), None)
        if life is not None:
            self._exited.put((record.pid, record.start_ns), life)
        return process

    def snapshot(self, record: ExecRecord) -> Process:
        """A process that was there at the attach. Its arguments are not in the record: they are those of an
        exec seen while attaching, or of the context record."""
        life = self._find(record.pid, record.start_ns)
        known = life.at(record.time_ns) if life else None
        args = self._announced_args(record)
        same = known is not None and known.executable == executable_path(record)
        if same and known is not None:
            args = known.args or args
        parent, depth = self._parent_at_exec(record, life)
        process = self._images.executed(record, args, parent)
        if life is None or known is None:
            self._begin(_Life(process, 0, depth))
            return process
        if same or not known.executable:
            life.correct(known, process)
        else:
            life.add(process, record.time_ns)
        life.depth = depth
        return process

    def _announced_args(self, record: ExecRecord) -> tuple[str, ...]:
        """Nothing when /proc was read after the process had gone on to another program."""
        facts = self._announced.get((record.pid, record.start_ns // TICK_NS))
        return facts.args if facts and facts.executable in ("", executable_path(record)) else ()

    def _find(self, pid: int, start_ns: int) -> _Life | None:
        return self._live.get((pid, start_ns)) or self._exited.get((pid, start_ns))

    def _life(self, pid: int, start_ns: int) -> _Life:
        """The life of a process, begun here when nothing was heard of it before."""
        life = self._exited.get((pid, start_ns))
        if life is None:
            process, depth = self._from_outside(pid, start_ns)
            life = _Life(process, 0, depth)
            self._begin(life)
        return life

    def _begin(self, life: _Life) -> None:
        if len(self._live) >= LIVE_KEPT:
            for key in list(islice(self._live, LIVE_KEPT // 8)):
                self._exited.put(key, self._live.pop(key))
        self._live[life.process.pid, life.process.start_ns] = life

    def _reconsidered(self, life: _Life, process: Process) -> Process:
        """An unknown process, or what has been learned since of it or of the one it was forked from."""
        known, depth = self._from_outside(process.pid, process.start_ns)
        if not known.executable and process.parent is not None:
            known, depth = self._inherited(process, process.parent)
        if not known.executable:
            return process
        life.correct(process, known)
        life.depth = depth
        return known

    def _inherited(self, child: Process, parent: Process) -> tuple[Process, int]:
        origin = self._find(parent.pid, parent.start_ns)
        if origin is None or origin.depth >= LINEAGE_MAX:
            return child, 0
        return self._images.inherited(child, origin.at(child.start_ns)), origin.depth + 1

    def _parent_at_exec(self, record: ExecRecord, life: _Life | None) -> tuple[Process | None, int]:
        """Who forked the process, or when that was not seen, its parent at the time of the record."""
        if life is not None and life.process.parent is not None:
            return life.process.parent, life.depth
        if not record.parent_pid:
            return None, 0
        return self._parent(record.parent_pid, record.parent_start_ns, record.time_ns)

    def _parent(self, pid: int, start_ns: int, time_ns: int) -> tuple[Process, int]:
        """The program of a parent at that time, and how many ancestors its child has."""
        life = self._find(pid, start_ns)
        if life is None:
            process, depth = self._from_outside(pid, start_ns)
            return process, depth + 1
        if life.depth >= LINEAGE_MAX:
            _shorten(life)
        process = life.at(time_ns)
        return (process if process.executable else self._reconsidered(life, process)), life.depth + 1

    def _from_outside(self, pid: int, start_ns: int) -> tuple[Process, int]:
        """A process that is not watched, with its ancestors as far as context records name them."""
        key = (pid, start_ns // TICK_NS)
        made = self._outside.get(key)
        if made is None:
            made = self._described(pid, start_ns)
            self._outside.put(key, made)
        return made

    def _described(self, pid: int, start_ns: int) -> tuple[Process, int]:
        facts = self._announced.get((pid, start_ns // TICK_NS))
        if facts is None:
            return self._images.unknown(pid, start_ns), 0
        ancestors = self._announced_ancestors(facts)
        parent: Process | None = None
        for ancestor in reversed(ancestors):
            parent = self._images.announced(ancestor, ancestor.start_ns, parent)
        return self._images.announced(facts, start_ns, parent), len(ancestors)

    def _announced_ancestors(self, facts: Announced) -> list[Announced]:
        """Parent, grandparent and so on; a ring of parents, which only a forged trace has, ends somewhere."""
        ancestors: list[Announced] = []
        while facts.parent_pid and len(ancestors) < LINEAGE_NEWEST_KEPT:
            parent = self._announced.get((facts.parent_pid, facts.parent_start_ns // TICK_NS))
            if parent is None:
                break
            ancestors.append(parent)
            facts = parent
        return ancestors


def _shorten(life: _Life) -> None:
    """Leave out ancestors in the middle, so that a process that forks and ends, again and again, cannot fill
    the memory; the oldest stay, so that it cannot hide where it came from either."""
    ancestors = list(life.process.lineage())[1:]
    kept = ancestors[:LINEAGE_NEWEST_KEPT] + ancestors[-LINEAGE_OLDEST_KEPT:]
    parent: Process | None = None
    for ancestor in reversed(kept):
        parent = replace(ancestor, parent=parent)
    life.process = replace(life.process, parent=parent)
    life.earlier = [(since_ns, replace(process, parent=parent)) for since_ns, process in life.earlier]
    life.depth = len(kept)


# A program may have 128 KiB of arguments, and thousands of programs may have ended lately.


def _weight_of_life(life: _Life) -> int:
    return 1 + sum(map(_own_args_kib, [life.process, *(process for _, process in life.earlier)]))


def _own_args_kib(process: Process) -> int:
    """Arguments inherited from the parent are the same object, and take no room."""
    shared = process.parent is not None and process.args is process.parent.args
    return 0 if shared else sum(map(len, process.args)) // 1024


def _weight_of_facts(facts: Announced) -> int:
    return 1 + sum(map(len, facts.args)) // 1024
