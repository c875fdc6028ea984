"""The records a trace begins with: what a replay elsewhere must know of this machine and this session."""

from __future__ import annotations

import os
import platform
import pwd
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracer import __version__
from tracer.capture import Source
from tracer.capture.doctor import kernel_facts
from tracer.control import control_path, steps_path
from tracer.rules import RuleSet
from tracer.rules.changes import rules_record
from tracer.targets import Target
from tracer.targets.machine import cgroup_layout, runtimes
from tracer.trace import PublicKey, default_folder, default_keys_folder

USERS_MAX = 1_000
RULE_FILES_MAX = 1_000


def first_records(
    session_id: str,
    source: Source,
    rules: RuleSet,
    targets: Sequence[str],
    command: Sequence[str],
    *,
    key: PublicKey,
) -> list[dict[str, Any]]:
    """The session record, the rules and the user names. `key` is the one that will seal the trace."""
    return [
        {
            "type": "session",
            "id": session_id,
            "targets": list(targets),
            "command": list(command),
            "tier": source.tier,
            "loader": source.loader,
            "start_ns": time.time_ns(),
            "boot_offset_ns": boot_offset_ns(),
            "host": platform.node(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "version": __version__,
            "key": key.line,
            "abi": dict(source.abi),
            "rules": {
                "digest": rules.digest,
                "sources": list(rules.sources),
                "variables": rules.given.record(),
            },
            "unseen": list(source.unseen),
            "capture": _capture(),
        },
        rules_record(rules),
        *_users(),
    ]


def scope_record(scope: int, target: Target) -> dict[str, Any]:
    """What a scope is: the target as it was named, and the container, by its id, when it is one."""
    container = {"container": target.container.id} if target.container else {}
    return {"type": "scope", "scope": scope, "target": target.name, **container, **target.pod}


def engine_facts(source: Source, trace: Path, rules: RuleSet, *, renamed: bool = False) -> dict[str, Any]:
    """Who watches, and what that leaves on disk: what nobody who is watched may touch. `trace` is there.

    `renamed`: another file will have its name, so it is known by that alone.
    """
    trace = Path(os.path.realpath(trace))
    return {
        **source.engine,
        "trace": _place(trace) | ({"inode": 0} if renamed else {}),
        "control": str(control_path(trace)),
        "steps": str(steps_path(trace)),
        "folder": _place(Path(os.path.realpath(default_folder()))),
        "keys": _place(Path(os.path.realpath(default_keys_folder()))),
        "proc": _place(Path("/proc")),
        "rules": [_place(path) for path in _rule_files(rules)],
    }


def _rule_files(rules: RuleSet) -> list[Path]:
    """Those that the user gave: what comes with Rubicon is named otherwise."""
    names = [source["path"] for source in rules.sources]
    given = [name for name in names if not name.startswith(("pack:", "profile:"))]
    return [Path(os.path.realpath(name)) for name in given[:RULE_FILES_MAX]]


def _place(path: Path) -> dict[str, Any]:
    """The device as the records have it: dev_t of user space, in 32 bits."""
    try:
        found = path.stat()
    except OSError:  # the folder need not be there yet
        return {"path": str(path), "device": 0, "inode": 0}
    return {"path": str(path), "device": found.st_dev, "inode": found.st_ino}


def _capture() -> dict[str, Any]:
    """What `rubicon doctor` says of the kernel and the machine, as far as it costs no try."""
    return {
        **asdict(kernel_facts()),
        "cgroups": asdict(cgroup_layout()),
        "runtimes": [asdict(each) for each in runtimes()],
    }


def boot_offset_ns() -> int:
    """Nanoseconds since the Unix epoch at which the boot clock stood at zero."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    now = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return now - (before + after) // 2


def _users() -> Iterator[dict[str, Any]]:
    """This machine's user names. An account with another's id does not rename it."""
    seen: set[int] = set()
    for entry in pwd.getpwall()[:USERS_MAX]:
        if entry.pw_uid not in seen:
            seen.add(entry.pw_uid)
            yield {"type": "user", "id": entry.pw_uid, "name": entry.pw_name}
