"""Events as the Linux audit log tells them: for Sigma rules with `service: auditd`.

One event of ours stands for all the records that auditd writes of one call, so `type` is any of SYSCALL,
EXECVE, PATH, CWD, SOCKADDR, and fields of several records can be asked for together. `SYSCALL` is the usual
name of the call: whoever opens a file by open, openat or openat2 has called openat. `a0` to `a15` are the
arguments of a program that is run; the raw ones of other calls are not recorded, nor are audit keys, sessions
and logins.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping

from tracer.events import BOUNDARY_ACTIONS, Action, Boundary, Exec, File, Network, Outcome
from tracer.rules.fields import (
    PROCESS,
    Facts,
    Field,
    Kind,
    LogSource,
    Reader,
    args,
    executable,
    fields_of,
    happened,
)

_ARGUMENTS = 16
_FILE_CALLS: Mapping[Action, str] = {
    Action.FILE_WRITE: "openat",
    Action.FILE_RENAME: "rename",
    Action.FILE_UNLINK: "unlink",
    Action.FILE_LINK: "link",
    Action.FILE_SYMLINK: "symlink",
    Action.FILE_MKDIR: "mkdir",
    Action.FILE_RMDIR: "rmdir",
    Action.FILE_CHMOD: "chmod",
    Action.FILE_CHOWN: "chown",
    Action.FILE_TRUNCATE: "truncate",
}
_NETWORK_CALLS: Mapping[Action, str] = {
    Action.CONNECT: "connect",
    Action.BIND: "bind",
    Action.LISTEN: "listen",
    Action.ACCEPT: "accept",
}
_CREATING = frozenset({Action.FILE_LINK, Action.FILE_SYMLINK, Action.FILE_MKDIR, Action.FILE_RENAME})
_REMOVING = frozenset({Action.FILE_UNLINK, Action.FILE_RMDIR, Action.FILE_RENAME})


def _types(facts: Facts) -> tuple[str, ...]:
    match facts.event.detail:
        case Exec():
            return ("SYSCALL", "EXECVE", "PATH", "CWD", "PROCTITLE")
        case File():
            return ("SYSCALL", "PATH", "CWD", "PROCTITLE")
        case Network():
            return ("SYSCALL", "SOCKADDR", "PROCTITLE")
        case _:
            return ("SYSCALL", "PROCTITLE")


def _call(facts: Facts) -> str | None:
    event = facts.event
    match event.detail:
        case Exec():
            return "execve"
        case Boundary() as detail:
            return detail.call or None
        case File() as detail if event.action is Action.FILE_WRITE and _is_node(detail.mode):
            return "mknod"
        case _:
            return _FILE_CALLS.get(event.action) or _NETWORK_CALLS.get(event.action)


def _is_node(mode: int) -> bool:
    return stat.S_IFMT(mode) not in (0, stat.S_IFREG)


def _names(facts: Facts) -> tuple[str, ...]:
    match facts.event.detail:
        case File() as detail:
            return tuple([path for path in (detail.path, detail.original_path) if path])
        case Exec():
            path = facts[executable]
            return (path,) if path else ()
        case _:
            return ()


def _name_types(facts: Facts) -> tuple[str, ...]:
    event = facts.event
    if not isinstance(event.detail, File):
        return ("NORMAL",) if isinstance(event.detail, Exec) else ()
    creates = event.action in _CREATING or event.detail.created
    found = (("CREATE", creates), ("DELETE", event.action in _REMOVING))
    return tuple([name for name, applies in found if applies]) or ("NORMAL",)


def _argument(number: int) -> Callable[[Facts], str | None]:
    def read(facts: Facts) -> str | None:
        found = facts[args] if isinstance(facts.event.detail, Exec) else ()
        return found[number] if number < len(found) else None

    return read


def _success(facts: Facts) -> str:
    return "no" if facts.event.outcome is Outcome.FAILURE else "yes"


def _exit(facts: Facts) -> int | None:
    return -facts.event.error if facts.event.outcome is Outcome.FAILURE else None


def _read(name: str) -> Reader:
    return PROCESS[name].value


_FIELDS: dict[str, Field] = {
    **fields_of(
        {
            "SYSCALL": _call,
            "syscall": _call,
            "success": _success,
            "exe": _read("process.executable"),
            "comm": _read("process.name"),
            "cwd": _read("process.working_directory"),
            "proctitle": _read("process.command_line"),
            **{f"a{number}": _argument(number) for number in range(_ARGUMENTS)},
        }
    ),
    **fields_of(
        {
            "exit": _exit,
            "pid": _read("process.pid"),
            "ppid": _read("process.parent.pid"),
            "uid": _read("user.id"),
            "euid": _read("user.effective.id"),
            "argc": lambda facts: len(facts[args]) if isinstance(facts.event.detail, Exec) else None,
        },
        Kind.NUMBER,
    ),
    **fields_of({"type": _types, "name": _names, "nametype": _name_types}, Kind.LIST),
}


AUDITD = LogSource(
    "auditd",
    (Action.EXEC, *_FILE_CALLS, *_NETWORK_CALLS, *BOUNDARY_ACTIONS),
    happened,
    PROCESS | _FIELDS,
    frozenset(
        {
            *(
                "key",
                "auid",
                "ses",
                "tty",
                "unit",
                "acct",
                "op",
                "res",
                "terminal",
                "hostname",
                "addr",
                "msg",
            ),
            *(
                "arch",
                "items",
                "suid",
                "fsuid",
                "gid",
                "egid",
                "sgid",
                "fsgid",
                "inode",
                "dev",
                "mode",
                "ouid",
            ),
            *("ogid", "rdev", "saddr", "subj", "obj", "data", "family", "node", "grp", "id", "new", "old"),
        }
    ),
    ("exe", "comm", "proctitle", "cwd", "name", "SYSCALL"),
)
