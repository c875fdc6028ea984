"""A policy at work: for each action one test of an event, made once when the policy is loaded."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tracer.events import (
    EARLIER_KEPT,
    Action,
    Boundary,
    Event,
    Exec,
    File,
    Match,
    Network,
    NetworkType,
    Process,
    Rule,
    RuleKind,
    Violation,
)
from tracer.rules import sentences
from tracer.rules.allowed import HARMLESS, compile_paths, compile_programs
from tracer.rules.endpoints import compile_endpoints
from tracer.rules.globs import Matcher
from tracer.rules.policy import Policy
from tracer.rules.premises import clean

PolicyCheck = Callable[[Event], Violation | None]

_SPREADING = frozenset({"MS_PRIVATE", "MS_SLAVE", "MS_SHARED", "MS_UNBINDABLE"})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
_UNCHANGED = _ABSENT | {errno.EEXIST}

_JUDGED_BY_PATH = (
    Action.FILE_UNLINK,
    Action.FILE_SYMLINK,
    Action.FILE_MKDIR,
    Action.FILE_RMDIR,
    Action.FILE_TRUNCATE,
    Action.FILE_CHMOD,
    Action.FILE_CHOWN,
)


def policy_checks(policy: Policy) -> dict[Action, PolicyCheck]:
    """What a policy has to say, by action; an action that is not in it is not judged.

    Attempts that failed are judged as well, unless there was nothing to do: no such program in this folder of
    the PATH, a directory that is already there, a file that is already gone. A close says nothing new.
    """
    rules = policy_rules(policy)
    checks: dict[Action, PolicyCheck] = {}
    writable = compile_paths(policy.files.write or ())
    if policy.files.write is not None:
        allowed = compile_paths([*policy.files.write, *HARMLESS])
        checks |= _file_checks(rules["files.write"], allowed)
    if policy.mounts is not None:
        check = _mount_check(rules["files.mounts"], compile_programs(policy.mounts, writable))
        checks |= dict.fromkeys(_CHANGES_PATHS, check)
    if policy.network.connect is not None:
        endpoints = compile_endpoints(policy.network.connect)
        checks[Action.CONNECT] = checks[Action.SEND] = _connect_check(rules["network.connect"], endpoints)
    if policy.process.exec is not None:
        checks[Action.EXEC] = _exec_check(
            rules["process.exec"], compile_programs(policy.process.exec, writable)
        )
    return checks


def policy_rules(policy: Policy) -> dict[str, Rule]:
    """The rules a policy stands for, one for each list it has, by their ids."""
    files, network, process = policy.files, policy.network, policy.process
    lists = (
        ("files.write", "File change not allowed", files, files.write),
        ("files.mounts", "Mount not allowed", files, policy.mounts),
        ("network.connect", "Connection not allowed", network, network.connect),
        ("process.exec", "Program not allowed", process, process.exec),
    )
    about = ": ".join(text for text in (policy.name, policy.description) if text)
    return {
        key: Rule(
            key,
            name,
            section.level,
            RuleKind.POLICY,
            about,
            response=section.on_violation or policy.on_violation,
        )
        for key, name, section, entries in lists
        if entries is not None
    }


def _file_checks(rule: Rule, allowed: Matcher) -> dict[Action, PolicyCheck]:
    def violation(event: Event, *matched: Match) -> Violation:
        return Violation(rule, event, matched, sentences.by_policy(event))

    def written(event: Event) -> Violation | None:
        detail = event.detail
        if not isinstance(detail, File) or allowed(clean(detail.path)) or detail.redirected:
            return None
        return violation(event, Match("file.path", detail.path))

    def changed(event: Event) -> Violation | None:
        return None if event.error in _UNCHANGED else written(event)

    def named_twice(event: Event) -> Violation | None:
        detail = event.detail
        if not isinstance(detail, File) or event.error in _UNCHANGED:
            return None
        names = (("file.path", detail.path), ("file.Ext.original.path", detail.original_path))
        matched = [Match(field, path) for field, path in names if not allowed(clean(path))]
        return violation(event, *matched) if matched else None

    return {
        Action.FILE_WRITE: written,
        Action.FILE_RENAME: named_twice,
        Action.FILE_LINK: named_twice,
        **dict.fromkeys(_JUDGED_BY_PATH, changed),
    }


def _spreads_only(flags: tuple[str, ...]) -> bool:
    """Whether a mount(2) changes how mounts spread, or their options, and none: do_mount() in the kernel."""
    if "MS_REMOUNT" in flags:
        return True
    return "MS_BIND" not in flags and any(flag in _SPREADING for flag in flags)


# What an act must have done, or tried, to make paths lead elsewhere.
_CHANGES_PATHS: dict[Action, Callable[[tuple[str, ...]], bool]] = {
    Action.MOUNT: lambda flags: not _spreads_only(flags),
    Action.UMOUNT: lambda _flags: True,
    Action.PIVOT_ROOT: lambda _flags: True,
    Action.CHROOT: lambda _flags: True,
    Action.MOVE_MOUNT: lambda flags: "MOVE_MOUNT_SET_GROUP" not in flags,
    Action.FSMOUNT: lambda _flags: True,
    Action.OPEN_TREE: lambda flags: "OPEN_TREE_CLONE" in flags,
    Action.SETNS: lambda flags: "CLONE_NEWNS" in flags,
}


def _mount_check(rule: Rule, allowed: Matcher) -> PolicyCheck:
    """One process and its past: an agent must not do as the program did that made its sandbox."""

    def may(process: Process) -> bool:
        if len(process.earlier) >= EARLIER_KEPT:
            return False
        return allowed(process.executable) and all(map(allowed, process.earlier))

    def check(event: Event) -> Violation | None:
        detail = event.detail
        if not isinstance(detail, Boundary) or (event.error and event.error not in sentences.REFUSALS):
            return None
        if not _CHANGES_PATHS[event.action](detail.flags) or may(event.process):
            return None
        matched = [Match("event.action", event.action)]
        if detail.path:
            matched.append(Match("rubicon.boundary.path", detail.path))
        return Violation(rule, event, tuple(matched), sentences.by_policy_of_mounts(event))

    return check


def _connect_check(rule: Rule, allowed: Callable[[Network], bool]) -> PolicyCheck:
    """Also of datagrams to an address given with them; what is sent on a connection was judged as that."""

    def check(event: Event) -> Violation | None:
        detail = event.detail
        if not isinstance(detail, Network) or detail.more is not None or allowed(detail):
            return None
        return Violation(rule, event, _peer_matches(detail), sentences.by_policy(event))

    return check


def _peer_matches(network: Network) -> tuple[Match, ...]:
    if network.type is NetworkType.UNIX:
        return (Match("destination.address", network.path),)
    matched = [
        Match("destination.ip", network.destination_ip),
        Match("destination.port", str(network.destination_port)),
    ]
    if network.destination_domain:
        matched.append(Match("destination.domain", network.destination_domain))
    return tuple(matched)


def _exec_check(rule: Rule, allowed: Matcher) -> PolicyCheck:
    def check(event: Event) -> Violation | None:
        detail = event.detail
        path = detail.path if isinstance(detail, Exec) else event.process.executable
        if event.error in _ABSENT or allowed(path):
            return None
        field = "file.path" if event.error else "process.executable"
        return Violation(rule, event, (Match(field, path),), sentences.by_policy(event))

    return check
