"""The one rule that no option turns off: who is watched may not touch who watches.

An act is an attack when it is aimed at the engine's process, at the trace it writes and those of other
sessions, at the keys that seal them, at the policy and the rule files it was given, at its control socket, or
at its probes in the kernel; whether it came to anything or not. Where these are is said in the session
record, so that a replay elsewhere comes to the same verdicts.

Not meant are asking whether the engine is there (signal 0, of which there is no event), a signal to one's own
process group, in which whoever started the sandbox may be (`trap 'kill 0' EXIT` is an old habit), and the
sandbox's own files, whatever they are called.

Not seen are reading, as of a trace or a key; names that lead here through a bind mount, or a symbolic link
made before the watch, when the act opens nothing; what somebody outside does on request; limits, priorities
and CPUs set for the engine; the links of what refuses connections, which are made later; and a mount over a
folder above the sessions, which breaks another rule (packs/mount_escape.yml).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from tracer.errors import TraceError
from tracer.events import (
    BOUNDARY_ACTIONS,
    OWN_GROUP,
    Action,
    Boundary,
    Event,
    File,
    Level,
    Match,
    Network,
    Outcome,
    Rule,
    RuleKind,
    Violation,
)
from tracer.rules import sentences
from tracer.rules.premises import Premise, Premises

Check = Callable[[Event], Violation | None]

ID = "self-protection"

_FILES = (
    Action.FILE_WRITE,
    Action.FILE_RENAME,
    Action.FILE_UNLINK,
    Action.FILE_LINK,
    Action.FILE_SYMLINK,
    Action.FILE_MKDIR,
    Action.FILE_RMDIR,
    Action.FILE_TRUNCATE,
    Action.FILE_CHMOD,
    Action.FILE_CHOWN,
)
_MOUNTS = (
    Action.MOUNT,
    Action.UMOUNT,
    Action.MOVE_MOUNT,
    Action.OPEN_TREE,
    Action.MOUNT_SETATTR,
    Action.FSPICK,
)
_BPF_KINDS = {
    "BPF_PROG_GET_FD_BY_ID": "programs",
    "BPF_MAP_GET_FD_BY_ID": "maps",
    "BPF_LINK_GET_FD_BY_ID": "links",
}


def _rule(name: str, *techniques: str) -> Rule:
    about = "Something in the sandbox acted on Rubicon itself. This is always judged."
    return Rule(ID, name, Level.CRITICAL, RuleKind.DETECTION, about, techniques)


_PROCESS = _rule("Attack on Rubicon: its process", "T1562.001", "T1489")
_MEMORY = _rule("Attack on Rubicon: its process", "T1562.001", "T1055.008", "T1055.009")
_TRACE = _rule("Attack on Rubicon: its trace", "T1562.001", "T1070", "T1565.001")
_KEYS = _rule("Attack on Rubicon: its keys", "T1562.001", "T1070", "T1565.001")
_RULES = _rule("Attack on Rubicon: its rules", "T1562.001")
_CONTROL = _rule("Attack on Rubicon: its control", "T1562.001")
_PROBES = _rule("Attack on Rubicon: its probes", "T1562.001", "T1014")
_THINGS = {
    _PROCESS: "the process that watches it",
    _MEMORY: "the process that watches it",
    _TRACE: "what is recorded of it",
    _KEYS: "the keys that seal what is recorded of it",
    _RULES: "what it is judged by",
    _CONTROL: "the socket that steers the watch",
    _PROBES: "the probes that watch it",
}


def protection(engine: Mapping[str, Any], entity_id: str) -> Check:
    """The check of one event: None when it is no attack.

    `engine` is that of a session record, `entity_id` names its process. Raises TraceError when it cannot be
    read.
    """
    try:
        premises, control = Premises(engine), str(engine["control"])
        bpf = {kind: frozenset(map(str, ids)) for kind, ids in engine["bpf"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"the engine in the session record cannot be read: {error!r}") from None
    checks: dict[Action, Check] = dict.fromkeys(BOUNDARY_ACTIONS, lambda event: _on_process(event, entity_id))
    checks |= dict.fromkeys(_FILES, lambda event: _on_files(event, premises))
    checks |= dict.fromkeys(_MOUNTS, lambda event: _by_mount(event, premises))
    checks[Action.CONNECT] = checks[Action.SEND] = lambda event: _on_control(event, control)
    checks[Action.BPF] = lambda event: _on_probes(event, bpf)

    def check(event: Event) -> Violation | None:
        """The engine may be in the scope itself, as with all that is on a machine, and writes its trace."""
        asked = checks.get(event.action)
        if asked is None or event.process.entity_id == entity_id:
            return None
        return asked(event)

    return check


def _violation(rule: Rule, event: Event, field: str, value: str) -> Violation:
    """As "evil (pid 7) removed X: this is aimed at what is recorded of it"."""
    act = f"{sentences.actor(event)} {sentences.act(event)}"
    summary = f"{act}: this is aimed at {_THINGS[rule]}{sentences.failure(event)}"
    return Violation(rule, event, (Match(field, value),), summary)


def _on_process(event: Event, entity_id: str) -> Violation | None:
    detail = event.detail
    if not isinstance(detail, Boundary) or detail.target is None or detail.target.entity_id != entity_id:
        return None
    if event.action is Action.KILL and detail.name == OWN_GROUP:
        return None
    rule = _PROCESS if event.action in (Action.KILL, Action.CGROUP_MOVE) else _MEMORY
    return _violation(rule, event, "rubicon.boundary.target.pid", str(detail.target.pid))


def _rule_of(premise: Premise) -> Rule:
    return {Premise.KEYS: _KEYS, Premise.PROC: _MEMORY, Premise.RULES: _RULES}.get(premise, _TRACE)


def _on_files(event: Event, premises: Premises) -> Violation | None:
    """By the names of the act, and by the file behind a descriptor, whatever name led there."""
    detail = event.detail
    if not isinstance(detail, File) or (event.action is Action.FILE_MKDIR and event.error == errno.EEXIST):
        return None
    premise = premises.at(detail.path, detail.device, detail.inode)
    if premise is Premise.PROC:
        if event.outcome is Outcome.SUCCESS and detail.path.endswith("/mem"):
            return None  # Action.PROCESS_MEM_OPEN is about the same act
        return _violation(_MEMORY, event, "file.path", detail.path)
    if premise is not None:
        return _violation(_rule_of(premise), event, "file.path", detail.path)
    return _on_names(event, detail, premises)


def _on_names(event: Event, detail: File, premises: Premises) -> Violation | None:
    """By where it was before; or with a folder that is moved, and what is in it."""
    original = detail.original_path
    if original and (premise := premises.at(original)) is not None:
        return _violation(_rule_of(premise), event, "file.Ext.original.path", original)
    if event.action is Action.FILE_RENAME:
        for field, path in (("file.Ext.original.path", original), ("file.path", detail.path)):
            if premises.is_above(path):
                return _violation(_TRACE, event, field, path)
    return None


def _by_mount(event: Event, premises: Premises) -> Violation | None:
    """Over it, away from it, or so that it can be reached by another name."""
    detail = event.detail
    if not isinstance(detail, Boundary):
        return None
    for field, path in (("path", detail.path), ("source", detail.source)):
        if path and (premise := premises.at(path)) is not None:
            return _violation(_rule_of(premise), event, f"rubicon.boundary.{field}", path)
    return None


def _on_control(event: Event, control: str) -> Violation | None:
    detail = event.detail
    if not isinstance(detail, Network) or detail.path != control:
        return None
    return _violation(_CONTROL, event, "destination.address", control)


def _on_probes(event: Event, bpf: Mapping[str, frozenset[str]]) -> Violation | None:
    detail = event.detail
    if not isinstance(detail, Boundary):
        return None
    kind = _BPF_KINDS.get(detail.operation, "")
    if detail.value not in bpf.get(kind, ()):
        return None
    return _violation(_PROBES, event, "rubicon.boundary.value", detail.value)
