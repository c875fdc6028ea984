"""Events made for the tests of rules: what happened in one call, everything else plausible."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tracer.events import (
    Action,
    Boundary,
    Category,
    Detail,
    Event,
    Evidence,
    Exec,
    File,
    Network,
    NetworkType,
    Outcome,
    Process,
    Spoken,
    StdioKind,
    Violation,
)
from tracer.rules import RuleSet, load_rules

START_NS = 1_767_225_600_000_000_000


def process(
    executable: str = "/usr/bin/python3.11",
    args: tuple[str, ...] = ("python3", "agent.py"),
    *,
    pid: int = 7,
    parent: Process | None = None,
    user: str = "ada",
    uid: int = 1000,
    directory: str = "/work",
) -> Process:
    return Process(
        entity_id=f"{pid:x}",
        pid=pid,
        start_ns=pid,
        start_time_ns=START_NS,
        executable=executable,
        args=args,
        working_directory=directory,
        name=os.path.basename(executable)[:15],
        user_id=uid,
        user_name=user,
        group_id=uid,
        effective_user_id=uid,
        cgroup_id=1,
        namespace_pid=pid,
        parent=parent,
    )


AGENT = process()


def event(
    action: Action,
    detail: Detail,
    who: Process = AGENT,
    error: int = 0,
    *,
    outcome: Outcome | None = None,
    snapshot: bool = False,
) -> Event:
    category = {Action.EXEC: Category.PROCESS, Action.CONNECT: Category.NETWORK}.get(action, Category.FILE)
    return Event(
        sequence=1,
        time_ns=START_NS,
        action=action,
        category=category,
        outcome=outcome or (Outcome.FAILURE if error else Outcome.SUCCESS),
        error=error,
        process=who,
        thread_id=who.pid,
        scope=1,
        evidence=Evidence.KERNEL,
        snapshot=snapshot,
        detail=detail,
    )


def ran(
    *args: str,
    path: str = "",
    error: int = 0,
    stdin: StdioKind = StdioKind.PIPE,
    stdin_peer: str = "",
    parent: Process | None = AGENT,
    who: Process | None = None,
    snapshot: bool = False,
    pid: int = 4302,
) -> Event:
    """An exec of `args`: as the kernel resolves it, /usr/bin/NAME, or `path`."""
    path = path or f"/usr/bin/{os.path.basename(args[0])}"
    detail = Exec(path, args[0], args, 1, 1, False, stdin, StdioKind.PIPE, StdioKind.PIPE, stdin_peer)
    if error:
        return event(Action.EXEC, detail, who or AGENT, error)
    return event(Action.EXEC, detail, who or process(path, args, pid=pid, parent=parent), snapshot=snapshot)


def ran_line(line: str, path: str = "") -> Event:
    return ran(*line.split(), path=path)


def connected(
    ip: str,
    port: int,
    domain: str = "",
    *,
    transport: str = "tcp",
    error: int = 0,
    outcome: Outcome | None = None,
    who: Process = AGENT,
    snapshot: bool = False,
) -> Event:
    kind = NetworkType.IPV6 if ":" in ip else NetworkType.IPV4
    return event(
        Action.CONNECT,
        Network(kind, transport, ip, port, "10.0.0.2", 40001, domain, ""),
        who,
        error,
        outcome=outcome,
        snapshot=snapshot,
    )


def spoke(port: int, spoken: Spoken, who: Process = AGENT, direction: str = "egress") -> Event:
    detail = Network(NetworkType.IPV4, "tcp", "198.51.100.7", port, "10.0.0.2", 40001, "", "", direction)
    detail.more = spoken
    return event(Action.SEND, detail, who)


def sent(ip: str, port: int, domain: str = "") -> Event:
    """A datagram to an address given with it."""
    return event(Action.SEND, Network(NetworkType.IPV4, "udp", ip, port, "", 0, domain, ""))


def connected_unix(path: str) -> Event:
    return event(Action.CONNECT, Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", path))


def connected_other() -> Event:
    return event(Action.CONNECT, Network(NetworkType.OTHER, "16", "", 0, "", 0, "", ""))


def file(
    path: str,
    action: Action = Action.FILE_WRITE,
    *,
    error: int = 0,
    who: Process = AGENT,
    original: str = "",
    target: str = "",
    created: bool = False,
    mode: int = 0,
    descriptor: int = -1,
    inherited: bool = False,
    redirected: bool = False,
    snapshot: bool = False,
) -> Event:
    detail = File(
        path,
        original_path=original,
        target_path=target,
        created=created,
        mode=mode,
        descriptor=descriptor,
        inherited=inherited,
        redirected=redirected,
    )
    return event(action, detail, who, error, snapshot=snapshot)


def bounded(action: Action, *, error: int = 0, who: Process = AGENT, **facts: Any) -> Event:
    """A boundary act."""
    return event(action, Boundary(**({"call": action.value} | facts)), who, error)


def rules_of(folder: Path, policy: str = "", *sigma: str, packs: bool = False) -> RuleSet:
    """A rule set from the texts of a policy and of Sigma rules."""
    policy_path = None
    if policy:
        policy_path = folder / "policy.yaml"
        policy_path.write_text(policy)
    paths = []
    for number, text in enumerate(sigma):
        paths.append(folder / f"rule{number}.yml")
        paths[-1].write_text(text)
    return load_rules(policy_path, paths, packs=packs)


def sigma_rule(detection: str, category: str = "process_creation", product: str = "linux") -> str:
    """A Sigma rule with this text as its `detection`, which is indented by two."""
    source = f"  product: {product}\n" if product else ""
    return f"title: T\nlogsource:\n  category: {category}\n{source}detection:\n{detection}\n"


def matches(violations: tuple[Violation, ...]) -> list[tuple[str, str]]:
    return [(match.field, match.value) for violation in violations for match in violation.matched]


def broken(violations: tuple[Violation, ...]) -> list[str]:
    return [violation.rule.name for violation in violations]
