"""The scopes of a live session: who is in each, what each is called, and which of them a word means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tracer.actions.scope import Scope
from tracer.capture import ScopeCgroup
from tracer.cgroup_names import container_in
from tracer.errors import UsageError
from tracer.targets import Target, cgroups
from tracer.targets.container import Container
from tracer.text import printable

ALL = "all that is watched"


class Watching(Protocol):
    """As much of a `Source` as it takes."""

    def members(self) -> Mapping[int, int]: ...

    def scope_cgroups(self) -> Mapping[ScopeCgroup, int]: ...


class Scopes:
    """Asked from several threads; what it does not find any more has ended.

    `folder_of_id` finds a cgroup of version 2, `freezer_of` the one of version 1 that a process is frozen by.
    """

    def __init__(
        self,
        source: Watching,
        folder_of_id: Callable[[int], Path | None] = cgroups.folder_of_id,
        freezer_of: Callable[[int], Path | None] = cgroups.freezer_folder,
    ) -> None:
        self._source = source
        self._folder_of_id = folder_of_id
        self._freezer_of = freezer_of
        self._names: dict[int, str] = {}
        self._containers: dict[str, str] = {}  # id -> name with its runtime
        self._held: dict[int, list[Path]] = {}
        self._folders: dict[int, Path] = {}  # by cgroup id
        self._watched_pids: set[int] = set()

    def add(self, scope: int, target: Target) -> None:
        """Its cgroup is looked for now, and not when it is to be frozen."""
        self._names[scope] = target.name
        if target.cgroup_id and target.cgroup_version == 2:
            self._folder(target.cgroup_id)
        if target.pid:
            self._watched_pids.add(target.pid)

    def hold(self, scope: int, folder: Path) -> None:
        """All that is in this cgroup is of this scope."""
        self._held.setdefault(scope, []).append(folder)

    def call(self, container: Container) -> None:
        """What a container is called that the kernel will find by its id."""
        self._containers[container.id] = f"{container.runtime}:{container.name or container.id}"

    # Which

    def numbers(self) -> list[int]:
        """Of the scopes that somebody is in, or may come into."""
        return sorted({*self._source.members().values(), *self._source.scope_cgroups().values(), *self._held})

    def name(self, scope: int) -> str:
        """The target as it was named; "" when it is not known."""
        return self._names.get(scope) or self._name_found(scope)

    def _name_found(self, scope: int) -> str:
        for folder in self._cgroups_of(scope):
            runtime, container = container_in(folder.name)
            if container:
                return self._containers.get(container) or f"{runtime or 'container'}:{container}"
        return ""

    def named(self, word: str) -> list[int]:
        """The scopes that a word means: a target as it was named, or the number of one.

        Raises UsageError when there is none; the message names those there are.
        """
        numbers = self.numbers()
        found = [each for each in numbers if word in (str(each), self.name(each))]
        if found:
            return found
        there = ", ".join(dict.fromkeys(printable(self.name(each) or str(each)) for each in numbers))
        raise UsageError(f"{printable(word)} is not watched{f'; there are {there}' if there else ''}")

    def words(self, scope: int) -> str:
        """For a sentence on what was done to it."""
        return ALL if self.numbers() == [scope] else self.name(scope) or f"scope {scope}"

    # Who

    def one(self, number: int) -> Scope:
        return Scope(lambda: self._members(number), lambda: self._folders_of(number), self.spared)

    def every(self) -> Scope:
        """All of them as one."""
        return Scope(
            self._source.members,
            lambda: [folder for each in self.numbers() for folder in self._folders_of(each)],
            self.spared,
        )

    def spared(self) -> set[int]:
        """Rubicon and what it started, as the screen, but for whom it was told to watch."""
        own = os.getpid()
        return {own, *(_children(own) - self._watched_pids)}

    def _members(self, number: int) -> list[int]:
        return [pid for pid, scope in self._source.members().items() if scope == number]

    def _folders_of(self, number: int) -> list[Path]:
        found = [*self._held.get(number, ()), *self._cgroups_of(number)]
        if any(each.version == 1 and scope == number for each, scope in self._cgroups()):
            found += filter(None, map(self._freezer_of, self._members(number)))
        return list(dict.fromkeys(found))

    def _cgroups_of(self, number: int) -> list[Path]:
        """Those of version 2."""
        ids = [each.id for each, scope in self._cgroups() if each.version == 2 and scope == number]
        return list(filter(None, map(self._folder, ids)))

    def _cgroups(self) -> Iterable[tuple[ScopeCgroup, int]]:
        return self._source.scope_cgroups().items()

    def _folder(self, cgroup_id: int) -> Path | None:
        folder = self._folders.get(cgroup_id)
        if folder is None and (folder := self._folder_of_id(cgroup_id)):
            self._folders[cgroup_id] = folder
        return folder


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            found.update(map(int, file.read().split()))
    return found
