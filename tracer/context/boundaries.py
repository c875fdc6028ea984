"""A boundary record -> what it is called, and its detail in words; enum rb_act says what is where in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tracer import records
from tracer.context import symbols
from tracer.context.images import entity_id
from tracer.context.paths import joined
from tracer.errors import TraceError
from tracer.events import OWN_GROUP, Action, Boundary, Category, Credentials, Relation, Target
from tracer.records import Act, BoundaryRecord, Flag

_UNREADABLE = int(Flag.UNREADABLE)
_RELATIONS = (None, Relation.SELF, Relation.INSIDE, Relation.OUTSIDE)  # enum rb_relation
_OTHERWISE: dict[int, str] = {
    **dict.fromkeys((Act.MEM_OPEN, Act.CGROUP_MOVE, Act.NETWORK_ENTER), ""),
    Act.UMOUNT: "umount2",
}
_NAMES = {int(act): act.name.lower() for act in Act} | _OTHERWISE

_Facts = dict[str, Any]
_Say = Callable[[BoundaryRecord], _Facts]
_Way = tuple[Action, Category, _Say]


def boundary(record: BoundaryRecord) -> Boundary:
    """Raises TraceError for an act this version does not know."""
    _action, _category, say = _way(record)
    old = new = None
    if record.act in _CHANGING:
        old, new = _credentials(record.old), _credentials(record.new)
    return Boundary(
        call=_NAMES[record.act],
        target=_target(record.target),
        old=old,
        new=new,
        user_namespace_level=record.user_ns_level,
        **say(record),
    )


def action_of(record: BoundaryRecord) -> tuple[Action, Category]:
    action, category, _say = _way(record)
    return action, category


def changes_credentials(record: BoundaryRecord) -> bool:
    """Whether `new` holds for the process from here on. Of any thread but the first it is for that alone:
    libc makes every thread of a process call.
    """
    return record.act in _CHANGING and record.result >= 0 and record.tid == record.pid


def _way(record: BoundaryRecord) -> _Way:
    way = _WAYS.get(record.act)
    if way is None:
        raise TraceError(f"a boundary record of act {record.act}, which is not known")
    return way


def _target(target: records.Target) -> Target | None:
    relation = _RELATIONS[target.relation] if target.relation < len(_RELATIONS) else None
    if relation is None:
        return None
    name = os.fsdecode(target.comm.rstrip(b"\0"))
    return Target(target.pid, entity_id(target.pid, target.start_ns), name, relation)


def _credentials(given: records.Credentials) -> Credentials:
    return _made(
        given.uid, given.euid, given.suid, given.fsuid, given.gid, given.egid, given.sgid, given.fsgid,
        given.permitted, given.effective,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _made(*values: int) -> Credentials:
    return Credentials(*values)


def _place(base: str, name: str, record: BoundaryRecord) -> str:
    """ "" for a name that could not be read, and not the directory it would have been in."""
    if not name and record.flags & _UNREADABLE:
        return ""
    return joined(base, name)


def _first(record: BoundaryRecord) -> str:
    return _place(record.path, record.name, record)


def _second(record: BoundaryRecord) -> str:
    return _place(record.path2, record.name2, record)


def _mount(record: BoundaryRecord) -> _Facts:
    flags = record.value1
    if flags & 0xFFFF_0000 == 0xC0ED_0000:  # MS_MGC_VAL, which was once required, and which mount(2) drops
        flags &= 0xFFFF
    return {
        "path": _first(record),
        "source": record.name2,
        "filesystem": record.name3,
        "flags": symbols.flags(symbols.MOUNT, flags),
    }


def _place_with(table: dict[int, str]) -> _Say:
    return lambda record: {"path": _first(record), "flags": symbols.flags(table, record.value1)}


def _pivot_root(record: BoundaryRecord) -> _Facts:
    return {"path": _first(record), "source": _second(record)}


def _move_mount(record: BoundaryRecord) -> _Facts:
    flags = symbols.flags(symbols.MOVE_MOUNT, record.value1)
    return {"path": _second(record), "source": _first(record), "flags": flags}


def _fsopen(record: BoundaryRecord) -> _Facts:
    return {"filesystem": record.name3, "flags": symbols.flags(symbols.FSOPEN, record.value1)}


def _fsconfig(record: BoundaryRecord) -> _Facts:
    operation = symbols.choice(symbols.FSCONFIG, record.value1)
    return {"operation": operation, "name": record.name2, "value": record.name3}


def _fsmount(record: BoundaryRecord) -> _Facts:
    flags = symbols.flags(symbols.FSMOUNT, record.value1)
    return {"flags": (*flags, *symbols.flags(symbols.MOUNT_ATTR, record.value2))}


def _mount_setattr(record: BoundaryRecord) -> _Facts:
    flags = symbols.flags(symbols.AT, record.value1)
    given = symbols.flags(symbols.MOUNT_ATTR, record.value2)
    taken = symbols.flags(symbols.MOUNT_ATTR, record.value3, "~")
    return {"path": _first(record), "flags": (*flags, *given, *taken)}


def _chroot(record: BoundaryRecord) -> _Facts:
    return {"path": record.path if record.result >= 0 else _first(record)}


def _ptrace(record: BoundaryRecord) -> _Facts:
    return {"operation": symbols.choice(symbols.PTRACE, record.value1)}


def _nothing(_record: BoundaryRecord) -> _Facts:
    return {}


def _bpf(record: BoundaryRecord) -> _Facts:
    operation = symbols.choice(symbols.BPF, record.value1)
    path = _first(record) if record.name else ""
    if operation.endswith("_GET_FD_BY_ID"):
        return {"operation": operation, "name": "id", "value": str(record.value2)}
    return {"operation": operation, "path": path, "name": record.name2}


def _perf(record: BoundaryRecord) -> _Facts:
    return {"operation": symbols.choice(symbols.PERF_TYPES, record.value1)}


def _init_module(record: BoundaryRecord) -> _Facts:
    return {"value": record.name2}


def _finit_module(record: BoundaryRecord) -> _Facts:
    path = record.path if record.path != "/" else ""
    return {"path": path, "value": record.name2, "flags": symbols.flags(symbols.MODULE, record.value1)}


def _named_with(table: dict[int, str]) -> _Say:
    return lambda record: {"name": record.name2, "flags": symbols.flags(table, record.value1)}


def _key(record: BoundaryRecord) -> _Facts:
    return {"name": record.name2, "filesystem": record.name3}


def _keyctl(record: BoundaryRecord) -> _Facts:
    return {"operation": symbols.choice(symbols.KEYCTL, record.value1)}


def _with(table: dict[int, str]) -> _Say:
    return lambda record: {"flags": symbols.flags(table, record.value1)}


def _namespaces(record: BoundaryRecord) -> _Facts:
    """Of clone and setns: the low bits are a signal, or other flags that concern nobody here."""
    return {"flags": symbols.flags(symbols.NAMESPACES, record.value1 & sum(symbols.NAMESPACES))}


def _setns(record: BoundaryRecord) -> _Facts:
    """By a pidfd, those of a process in the scope are its own."""
    target = _target(record.target)
    own = record.value3 != 0 or (target is not None and target.relation is not Relation.OUTSIDE)
    return {**_namespaces(record), "own_namespace": own}


def _file(record: BoundaryRecord) -> _Facts:
    return {"path": record.path if record.path != "/" else ""}


def _cgroup(record: BoundaryRecord) -> _Facts:
    return {"name": record.name2}


def _ids(count: int) -> _Say:
    return lambda record: {"requested": symbols.signed((record.value1, record.value2, record.value3)[:count])}


def _signal(record: BoundaryRecord) -> _Facts:
    """A pid_t is signed; 0 is the caller's own process group (kill(2))."""
    own_group = record.act == Act.KILL and record.value2 == 0
    return {"operation": symbols.signal_name(record.value1), "name": OWN_GROUP if own_group else ""}


_PROCESS, _MOUNTS, _KERNEL = Category.PROCESS, Category.CONFIGURATION, Category.DRIVER
_CHANGING = frozenset(range(Act.SETNS, Act.KILL))
_WAYS: dict[int, _Way] = {
    Act.MOUNT: (Action.MOUNT, _MOUNTS, _mount),
    Act.UMOUNT: (Action.UMOUNT, _MOUNTS, _place_with(symbols.UMOUNT)),
    Act.PIVOT_ROOT: (Action.PIVOT_ROOT, _MOUNTS, _pivot_root),
    Act.CHROOT: (Action.CHROOT, _PROCESS, _chroot),
    Act.MOVE_MOUNT: (Action.MOVE_MOUNT, _MOUNTS, _move_mount),
    Act.FSOPEN: (Action.FSOPEN, _MOUNTS, _fsopen),
    Act.FSPICK: (Action.FSPICK, _MOUNTS, _place_with(symbols.FSPICK)),
    Act.FSCONFIG: (Action.FSCONFIG, _MOUNTS, _fsconfig),
    Act.FSMOUNT: (Action.FSMOUNT, _MOUNTS, _fsmount),
    Act.OPEN_TREE: (Action.OPEN_TREE, _MOUNTS, _place_with(symbols.OPEN_TREE)),
    Act.MOUNT_SETATTR: (Action.MOUNT_SETATTR, _MOUNTS, _mount_setattr),
    Act.PTRACE: (Action.PTRACE, _PROCESS, _ptrace),
    Act.PROCESS_VM_WRITEV: (Action.PROCESS_VM_WRITE, _PROCESS, _nothing),
    Act.BPF: (Action.BPF, _KERNEL, _bpf),
    Act.PERF_EVENT_OPEN: (Action.PERF_EVENT_OPEN, _PROCESS, _perf),
    Act.INIT_MODULE: (Action.MODULE_LOAD, _KERNEL, _init_module),
    Act.FINIT_MODULE: (Action.MODULE_LOAD, _KERNEL, _finit_module),
    Act.DELETE_MODULE: (Action.MODULE_UNLOAD, _KERNEL, _named_with(symbols.DELETE_MODULE)),
    Act.MEMFD_CREATE: (Action.MEMFD_CREATE, _PROCESS, _named_with(symbols.MEMFD)),
    Act.ADD_KEY: (Action.KEYCTL, _PROCESS, _key),
    Act.REQUEST_KEY: (Action.KEYCTL, _PROCESS, _key),
    Act.KEYCTL: (Action.KEYCTL, _PROCESS, _keyctl),
    Act.IO_URING_SETUP: (Action.IO_URING_SETUP, _PROCESS, _with(symbols.IO_URING)),
    Act.USERFAULTFD: (Action.USERFAULTFD, _PROCESS, _with(symbols.USERFAULTFD)),
    Act.PIDFD_GETFD: (Action.PIDFD_GETFD, _PROCESS, _file),
    Act.CLONE: (Action.UNSHARE, _PROCESS, _namespaces),
    Act.MEM_OPEN: (Action.PROCESS_MEM_OPEN, _PROCESS, _file),
    Act.CGROUP_MOVE: (Action.CGROUP_MOVE, _PROCESS, _cgroup),
    Act.NETWORK_ENTER: (Action.NETWORK_ENTER, _PROCESS, _file),
    Act.SETNS: (Action.SETNS, _PROCESS, _setns),
    Act.UNSHARE: (Action.UNSHARE, _PROCESS, _with(symbols.UNSHARE)),
    Act.SETUID: (Action.SETUID, _PROCESS, _ids(1)),
    Act.SETGID: (Action.SETGID, _PROCESS, _ids(1)),
    Act.SETREUID: (Action.SETUID, _PROCESS, _ids(2)),
    Act.SETREGID: (Action.SETGID, _PROCESS, _ids(2)),
    Act.SETRESUID: (Action.SETUID, _PROCESS, _ids(3)),
    Act.SETRESGID: (Action.SETGID, _PROCESS, _ids(3)),
    Act.SETFSUID: (Action.SETUID, _PROCESS, _ids(1)),
    Act.SETFSGID: (Action.SETGID, _PROCESS, _ids(1)),
    Act.SETGROUPS: (Action.SETGROUPS, _PROCESS, _nothing),
    Act.CAPSET: (Action.CAPSET, _PROCESS, _nothing),
    **dict.fromkeys(range(Act.KILL, Act.RT_TGSIGQUEUEINFO + 1), (Action.KILL, _PROCESS, _signal)),
}
