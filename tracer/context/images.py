"""A `Process` from what is known of it: a record, a context record, or next to nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tracer.context.fields import number, text, texts
from tracer.context.recent import Recent
from tracer.context.scopes import Scopes
from tracer.events import EARLIER_KEPT, NO_ID, Process
from tracer.records import BoundaryRecord, ExecRecord, Flag, ForkRecord, Kind, Record

TICK_NS = 10_000_000  # /proc/PID/stat gives start times in hundredths of a second (proc_pid_stat(5))
USERS_KEPT = 65_536
BUILDERS_KEPT = 4_096
_DELETED, _JOINED = int(Flag.DELETED), int(Flag.JOINED)
_EXEC = int(Kind.EXEC)  # who joins by it has become a program of the sandbox


def entity_id(pid: int, start_ns: int) -> str:
    """The same for one process in every session, live and replayed, until the machine boots again.

    Made of the pid and the start in ticks since boot, which is all that /proc tells of a process that is not
    watched; a pid cannot come round within a tick. Another machine or boot may have the same id: there the
    session tells them apart.
    """
    return f"{pid:x}-{start_ns // TICK_NS:x}"


def executable_path(record: ExecRecord) -> str:
    """The path of the program; as in /proc/PID/exe " (deleted)" follows when no directory has it any more."""
    return f"{record.path} (deleted)" if record.flags & _DELETED else record.path


@lru_cache(maxsize=4096)
def _with(earlier: tuple[str, ...], executable: str) -> tuple[str, ...]:
    """The same tuple for the same programs, as most processes have a history in common."""
    if executable in earlier or len(earlier) >= EARLIER_KEPT:
        return earlier
    return (*earlier, executable)


@dataclass(frozen=True, slots=True)
class Announced:
    """A process as a context record describes it: read from /proc, not seen by the probes."""

    pid: int
    start_ns: int
    parent_pid: int
    parent_start_ns: int
    executable: str
    args: tuple[str, ...]
    working_directory: str
    name: str
    user_id: int
    group_id: int
    effective_user_id: int


def read_announced(record: Mapping[str, Any]) -> Announced:
    """Raises TraceError when the record lacks its pid or start, or has a field of the wrong kind."""
    user_id = number(record, "user_id", NO_ID)
    return Announced(
        pid=number(record, "pid"),
        start_ns=number(record, "start_ns"),
        parent_pid=number(record, "parent_pid", 0),
        parent_start_ns=number(record, "parent_start_ns", 0),
        executable=text(record, "executable", ""),
        args=texts(record, "args"),
        working_directory=text(record, "working_directory", ""),
        name=text(record, "name", ""),
        user_id=user_id,
        group_id=number(record, "group_id", NO_ID),
        effective_user_id=number(record, "effective_user_id", user_id),
    )


class Images:
    """Makes processes. `boot_ns` is the time of the boot, nanoseconds since the Unix epoch."""

    def __init__(self, boot_ns: int, scopes: Scopes) -> None:
        self._boot_ns = boot_ns
        self._scopes = scopes
        self._users: Recent[tuple[str, int], str] = Recent(USERS_KEPT)  # by container, "" is none
        # Mount namespaces of those that came into a container from outside, at that moment.
        self._builders: Recent[tuple[int, int], int] = Recent(BUILDERS_KEPT)

    def learn_user(self, record: Mapping[str, Any]) -> None:
        """Raises TraceError when the record is not one of a user."""
        self._users.put((text(record, "container", ""), number(record, "id")), text(record, "name"))

    def _user(self, number: int, scope: int) -> str:
        """A container's users are its own: names of the machine mean nothing there."""
        container = self._scopes.container(scope)
        if container and not container.id:  # one of a pod's, which is not known
            return ""
        return self._users.get((container.id if container else "", number)) or ""

    def _sets_up(self, record: Record) -> bool:
        if not record.flags & _JOINED or self._scopes.container(record.scope) is None or record.kind == _EXEC:
            return False
        if isinstance(record, ExecRecord):
            self._builders.put((record.pid, record.start_ns), record.ns_mnt)
        return True

    def _begins_anew(self, record: ExecRecord, args: tuple[str, ...], before: Process | None) -> bool:
        """Whether it is runc still, which copies itself and runs the copy before it enters any namespace
        (CVE-2019-5736)."""
        if before is None or not before.setting_up or args[1:] != ("init",):
            return False
        return self._builders.get((record.pid, record.start_ns)) == record.ns_mnt

    def executed(
        self,
        record: ExecRecord,
        args: tuple[str, ...],
        parent: Process | None,
        before: Process | None = None,
    ) -> Process:
        """`before` is the process as it was, with the program that ends here."""
        return Process(
            entity_id(record.pid, record.start_ns),
            record.pid,
            record.start_ns,
            self._boot_ns + record.start_ns,
            executable_path(record),
            args,
            record.cwd,
            os.fsdecode(record.comm.partition(b"\0")[0]),
            record.uid,
            self._user(record.uid, record.scope),
            record.gid,
            record.euid,
            record.cgroup,
            record.ns_pid,
            parent,
            _with(before.earlier, before.executable)
            if before and before.watched and not before.setting_up
            else (),
            self._sets_up(record) or self._begins_anew(record, args, before),
        )

    def forked(self, record: ForkRecord, parent: Process) -> Process:
        """The child: it runs its parent's program until it executes another."""
        return Process(
            entity_id(record.pid, record.start_ns),
            record.pid,
            record.start_ns,
            self._boot_ns + record.start_ns,
            parent.executable,
            parent.args,
            parent.working_directory,
            parent.name,
            parent.user_id,
            parent.user_name,
            parent.group_id,
            parent.effective_user_id,
            record.cgroup,
            record.ns_pid,
            parent,
            parent.earlier,
            parent.setting_up or self._sets_up(record),
        )

    def of_user(self, process: Process, record: BoundaryRecord) -> Process:
        """`process` with the ids that it has after `record`."""
        new = record.new
        return replace(
            process,
            user_id=new.uid,
            user_name=self._user(new.uid, record.scope),
            group_id=new.gid,
            effective_user_id=new.euid,
        )

    def inherited(self, child: Process, parent: Process) -> Process:
        """`child`, forked when nothing was known of its parent, now that something is."""
        return replace(
            child,
            executable=parent.executable,
            args=parent.args,
            working_directory=parent.working_directory,
            name=parent.name,
            user_id=parent.user_id,
            user_name=parent.user_name,
            group_id=parent.group_id,
            effective_user_id=parent.effective_user_id,
            parent=parent,
            earlier=parent.earlier,
            setting_up=child.setting_up or parent.setting_up,
        )

    def announced(self, facts: Announced, start_ns: int, parent: Process | None) -> Process:
        """`start_ns` is the exact one when a record told it."""
        return Process(
            entity_id(facts.pid, start_ns),
            facts.pid,
            start_ns,
            self._boot_ns + start_ns,
            facts.executable,
            facts.args,
            facts.working_directory,
            facts.name,
            facts.user_id,
            self._users.get(("", facts.user_id)) or "",
            facts.group_id,
            facts.effective_user_id,
            0,
            0,
            parent,
        )

    def unknown(self, pid: int, start_ns: int) -> Process:
        """A process of which nothing but its number is known."""
        start = self._boot_ns + start_ns
        return Process(
            entity_id(pid, start_ns), pid, start_ns, start, "", (), "", "", NO_ID, "", NO_ID, NO_ID, 0, 0
        )
