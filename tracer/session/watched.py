"""What a session watches: targets join, each as a scope of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tracer.actions.scope import Scope
from tracer.capture import Source, Wanted
from tracer.errors import TargetError
from tracer.session.enforce import spared_pids
from tracer.session.record import scope_record
from tracer.targets import Target, cgroups, processes
from tracer.text import printable


class Watched:
    """`add` takes context records for the trace; `scopes` numbers the scopes of the session."""

    def __init__(self, source: Source, add: Callable[[Mapping[str, Any]], object]) -> None:
        self._source = source
        self._add = add
        self._folders: list[Path] = []
        self._pids: set[int] = set()
        self._one_at_a_time = threading.Lock()
        self.scopes = count(1)

    def watch(self, target: Target, *, silent: bool = False) -> int:
        """The number of processes in it. May be called from any thread.

        Raises TargetError when it has gone meanwhile.
        """
        with self._one_at_a_time:
            scope = next(self.scopes)
            self._add(scope_record(scope, target))
            for record in target.records:
                self._add(record)
            joined = self._join(target, scope, silent=silent)
            if not joined and not self._is_held(target):
                raise TargetError(f"{printable(target.name)} ended while attaching")
            self._describe(target)
            return joined

    def _is_held(self, target: Target) -> bool:
        """Whether nobody has to join: a cgroup may be empty, and another target may have all of this one."""
        pid = target.pid or (target.container.pid if target.container else 0)
        return not pid or self.watches(pid)

    def _join(self, target: Target, scope: int, *, silent: bool) -> int:
        starts_as = target.container.id if target.container else target.starts_as
        if starts_as:  # it may start again
            self._source.await_container(starts_as, scope)
        if target.cgroup_id:
            joined = self._source.add_cgroup(target.cgroup_id, scope, target.cgroup_version)
            if target.cgroup_version == 2 and (folder := cgroups.folder_of_id(target.cgroup_id)):
                self._folders.append(folder)
            if target.container and target.cgroup_version == 1:
                self._hold_container(target.container.pid)
            return joined
        self._pids.add(target.pid)
        return self._source.add_process(Wanted(target.pid, silent), scope)

    def holds(self, folder: Path) -> None:
        """All that is in this cgroup is watched: an action may take it as one. For the leaf of a command."""
        self._folders.append(folder)

    def _hold_container(self, pid: int) -> None:
        if folder := cgroups.freezer_folder(pid):
            self._folders.append(folder)

    def as_scope(self) -> Scope:
        """For actions."""
        return Scope(self.members, lambda: list(self._folders), self._spared)

    def _spared(self) -> set[int]:
        return spared_pids(frozenset(self._pids))

    def members(self) -> Iterable[int]:
        return self._source.members()

    def watches(self, pid: int) -> bool:
        """Whether the process is watched; false where pids here are not those of the kernel's records."""
        return processes.sees_all_pids() and pid in self._source.members()

    def _describe(self, target: Target) -> None:
        """What /proc says of those that are there already and of those above: no kernel record has it."""
        if not processes.sees_all_pids():
            return
        known: dict[int, Mapping[str, Any]] = {}
        watched = frozenset(self._source.members())
        for pid in [*watched, *([target.pid] if target.pid else [])]:
            for above in processes.lineage(pid, watched):
                if above["pid"] in known:
                    break
                known[above["pid"]] = above
        for record in known.values():
            self._add(record)
