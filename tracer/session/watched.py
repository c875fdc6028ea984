"""What a session watches: targets join, each as a scope of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tracer.capture import Source, Wanted
from tracer.errors import TargetError
from tracer.session.record import scope_record
from tracer.session.scopes import Scopes
from tracer.targets import Target, processes
from tracer.text import printable


class Watched:
    """`scopes` is told what each is called, `add` takes context records for the trace; `numbers` are for the
    scopes of the session."""

    def __init__(self, source: Source, scopes: Scopes, add: Callable[[Mapping[str, Any]], object]) -> None:
        self._source = source
        self._scopes = scopes
        self._add = add
        self._one_at_a_time = threading.Lock()
        self.numbers = count(1)

    def watch(self, target: Target, *, silent: bool = False, folder: Path | None = None) -> int:
        """The number of processes in it. May be called from any thread. `folder` as in `Session.watch`.

        Raises TargetError when it has gone meanwhile.
        """
        with self._one_at_a_time:
            scope = next(self.numbers)
            self._scopes.add(scope, target)
            if folder:
                self._scopes.hold(scope, folder)
            self._add(scope_record(scope, target))
            for record in target.records:
                self._add(record)
            joined = self._join(target, scope, silent=silent)
            if target.container and processes.sees_all_pids():
                self._source.hold_namespaces(target.container.pid, scope)
            if not joined and not self._is_held(target):
                raise TargetError(f"{printable(target.name)} ended while attaching")
            self._describe(target)
            return joined

    def _is_held(self, target: Target) -> bool:
        """Whether nobody has to join: a cgroup may be empty, and another target may have all of this one."""
        pid = target.pid or (target.container.pid if target.container else 0)
        return not pid or self.watches(pid)

    def _join(self, target: Target, scope: int, *, silent: bool) -> int:
        if target.container or target.pod:
            self._source.mark_container(scope)
        starts_as = target.container.id if target.container else target.starts_as
        if starts_as:  # it may start again
            self._source.await_container(starts_as, scope)
        if target.cgroup_id:
            return self._source.add_cgroup(target.cgroup_id, scope, target.cgroup_version)
        if target.called:
            return self._source.add_name(target.called, scope)
        return self._source.add_process(Wanted(target.pid, silent), scope)

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
