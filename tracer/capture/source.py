"""What a session drains, wherever the records come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Protocol

from tracer.capture.guard import Guard
from tracer.records import EMPTY, Section

FIRST_FOUND_SCOPE = 0x10000  # as in scope.h


class ReadOf(IntFlag):
    """What a name is of whose opens for reading are reported; READ_FILE and READ_FOLDER in file.bpf.c."""

    FILE = 1
    FOLDER = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A process to watch, and with it all that it started and will start.

    pid     in this process's own pid namespace
    silent  it joins the scope without a record of its own: it is about to become the command
    """

    pid: int
    silent: bool = False


@dataclass(frozen=True, slots=True)
class ScopeCgroup:
    """A cgroup that is a scope; of version 1 one of the hierarchy of the pids controller."""

    id: int
    version: int


@dataclass(frozen=True, slots=True)
class Drained:
    """What was in the rings, and how many records were lost since the start."""

    critical: Section = EMPTY
    bulk: Section = EMPTY
    lost_critical: int = 0
    lost_bulk: int = 0


class Source(Protocol):
    """Loaded probes. Nothing is recorded before a target is added.

    abi     the layout of the records, for the trace
    engine  this process and its probes as the records name them: {"pid", "start_ns" since boot,
            "bpf": {"programs": [ids], "maps": [ids], "links": [ids]}}
    loader, tier    what is running: "core" or "bcc", "A" or "B"
    guard   what can refuse, None when it was not loaded
    unseen  routes to an act that these probes cannot see on this kernel
    """

    engine: Mapping[str, Any]
    loader: str
    tier: str
    unseen: tuple[str, ...]
    guard: Guard | None

    @property
    def abi(self) -> Mapping[str, Any]: ...

    def add_process(self, wanted: Wanted, scope: int) -> int:
        """Watch a process and its descendants; how many processes joined (0: there is no such process)."""
        ...

    def add_cgroup(self, cgroup_id: int, scope: int, version: int = 2) -> int:
        """Watch all that is in a cgroup or below it, now and later; how many processes joined.

        Of version 1 a cgroup is one of the hierarchy of the pids controller.
        """
        ...

    def mark_container(self, scope: int) -> None:
        """Who comes into this scope from outside is a runtime that builds a container, or enters one."""
        ...

    def add_name(self, pattern: str, scope: int) -> int:
        """Watch the processes whose name matches a glob, now and when they become a program of that name; how
        many joined. Raises TargetError when there are too many globs.
        """
        ...

    def hold_namespaces(self, pid: int, scope: int) -> None:
        """Watch who enters the mount or pid namespace of a container from outside, and tell of who runs a
        program in its network alone, as long as `pid`, its first process (of the initial pid namespace), is
        watched. Namespaces of the machine are none of it.
        """
        ...

    def await_container(self, name: str, scope: int) -> None:
        """Watch a container whenever it starts. `name` is its id, or whatever its cgroup will be called."""
        ...

    def await_all_containers(self) -> None:
        """Watch each container that starts, in a scope of its own from FIRST_FOUND_SCOPE on."""
        ...

    def tell_reads(self, names: Mapping[str, ReadOf]) -> None:
        """Report opens for reading, too, of files with such a name or in a folder with such a name.

        A folder is looked for up to four levels above the file. Raises CaptureError for more than fit.
        """
        ...

    def forget_container(self, name: str) -> None:
        """Await it no more; if it runs, it stays watched."""
        ...

    def scope_cgroups(self) -> Mapping[ScopeCgroup, int]:
        """The cgroups that are watched now, each with its scope."""
        ...

    def wait(self, timeout_seconds: float) -> bool:
        """Return when there is something to drain, or after the timeout (false)."""
        ...

    def drain(self) -> Drained: ...

    def sweep(self) -> None:
        """Report written files whose last holder went unseen; for now and then."""
        ...

    def members(self) -> Mapping[int, int]:
        """The processes watched now, by pid (of the initial namespace), each with its scope."""
        ...

    def losses(self) -> dict[str, int]:
        """Records that could not be handed over, by kind or reason; only what is not zero."""
        ...

    def detach(self) -> None:
        """Record nothing more; what is in the rings can still be drained."""
        ...

    def close(self) -> None:
        """Detach and unload."""
        ...
