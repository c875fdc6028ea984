"""Containers that start while the session lives: their scopes, and what the trace says of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tracer.capture import ScopeCgroup, Source
from tracer.errors import TargetError
from tracer.session.record import scope_record
from tracer.session.scopes import Scopes
from tracer.targets import Target, cgroups, of_container, processes
from tracer.targets.container import Container, place_of, uid_map, user_records
from tracer.targets.follow import REMOVED, STARTED, Change, Follower, tellers
from tracer.targets.selection import Selection
from tracer.text import printable


class Following:
    """`watch` adds a target that runs; `scopes` gives numbers to those that are to come, `named` is told what
    they are called."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        *,
        add: Callable[[Mapping[str, Any]], object],
        watch: Callable[[Target], object],
        scopes: Iterator[int],
        named: Scopes,
        notice: Callable[[str, str], object],
    ) -> None:
        self._source = source
        self._selection = selection
        self._add = add
        self._watch = watch
        self._scopes = scopes
        self._named = named
        self._notice = notice
        self._lock = threading.Lock()
        self._known: set[str] = set()  # ids of those that are awaited or watched
        self._without_users: set[str] = set()  # of these; their passwd could not be read before they ran
        self._told_by = tellers()
        self._follower = Follower(self._changed, lambda words: notice("runtime", words), self._told_by)

    @property
    def runtimes(self) -> list[str]:
        return [each.name for each in self._told_by]

    def start(self) -> None:
        if self._selection.every:
            self._source.await_all_containers()
        self._follower.start()

    def stop(self) -> None:
        self._follower.close()

    def _changed(self, change: Change) -> None:
        with self._lock:
            if change.what == REMOVED:
                self._known.discard(change.container.id)
                self._without_users.discard(change.container.id)
                self._source.forget_container(change.container.id)
            elif change.container.id in self._known:
                if change.what == STARTED:
                    self._catch_up(change)
                    self._tell_users(change, again=True)
            elif self._selection.takes(change.container):
                self._known.add(change.container.id)
                self._take(change)

    def _catch_up(self, change: Change) -> None:
        """If its cgroup was made before it was awaited, or it has none: it is taken in now; that is said.

        Only now it has a process by whose namespaces who enters it from outside is known.
        """
        try:
            container = change.now()
        except OSError:
            return
        if container is None or not container.pid:
            return
        try:
            if not self._is_held(container):
                name = f"{container.runtime}:{container.name or container.id}"
                self._watch(of_container(name, container, change.passwd()))
                self._notice("late", f"{printable(name)} was told of late: what it did first was not seen")
            elif processes.sees_all_pids() and (scope := self._source.members().get(container.pid)):
                self._source.hold_namespaces(container.pid, scope)
        except TargetError:  # it has ended since
            return

    def _is_held(self, container: Container) -> bool:
        place = place_of(container.pid, container.id)
        if place is None:
            return container.pid in self._source.members()
        found = ScopeCgroup(cgroups.id_of(place.path, place.version), place.version)
        return found in self._source.scope_cgroups()

    def _take(self, change: Change) -> None:
        """Awaited first: it may start any moment. What it is called follows."""
        container = change.container
        if change.what == STARTED and container.pid:
            try:
                self._watch(of_container(f"{container.runtime}:{container.name}", container, change.passwd()))
            except TargetError:  # it has ended since
                self._known.discard(container.id)
            return
        found_by_kernel = self._selection.every and len(container.id) == 64
        if not found_by_kernel:
            scope = next(self._scopes)
            target = Target(f"{container.runtime}:{container.name}", container=container)
            self._source.mark_container(scope)
            self._source.await_container(container.id, scope)
            self._named.add(scope, target)
            self._add(scope_record(scope, target))
        self._named.call(container)
        self._add(container.record())
        self._tell_users(change)

    def _tell_users(self, change: Change, *, again: bool = False) -> None:
        """What was not to be had before it ran is asked for again when it does."""
        container = change.container
        if again and container.id not in self._without_users:
            return
        passwd = change.passwd()
        if not passwd:
            self._without_users.add(container.id)
            return
        self._without_users.discard(container.id)
        for record in user_records(container, passwd, uid_map(container.pid)):
            self._add(record)
