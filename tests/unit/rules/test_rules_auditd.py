"""Rules for the audit log: what events look like to them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.rules.made import bounded, broken, connected, file, ran, rules_of
from tracer.events import Action, Event


def judged(folder: Path, selection: str, made: Event) -> bool:
    text = (
        "title: T\nlogsource: {product: linux, service: auditd}\n"
        f"detection:\n  s: {{{selection}}}\n  condition: s\n"
    )
    return bool(broken(rules_of(folder, "", text).judge(made)))


CHMOD = ran("chmod", "777", "/x")
NODE = file("/work/n", created=True, mode=stat.S_IFIFO | 0o600)


@pytest.mark.parametrize(
    ("selection", "made", "expected"),
    [
        ("type: EXECVE, a0: chmod, a1: 777", CHMOD, True),
        ("type: EXECVE, a0: chmod, a1: 700", CHMOD, False),
        ("type: EXECVE, a3: x", CHMOD, False),
        ("type: SYSCALL, SYSCALL: execve, exe|endswith: /chmod, success: 'yes'", CHMOD, True),
        ("type: PATH, name: /usr/bin/chmod, nametype: NORMAL", CHMOD, True),
        ("argc: 3, comm: chmod", CHMOD, True),
        ("type: EXECVE", file("/etc/x"), False),
        ("type: PATH, name: /etc/*", file("/etc/x"), True),
        ("type: PATH, nametype: CREATE", file("/etc/x"), False),
        ("type: PATH, nametype: CREATE", file("/etc/x", created=True), True),
        ("type: PATH, nametype: DELETE", file("/etc/x", Action.FILE_UNLINK), True),
        ("name: /etc/old, nametype: DELETE", file("/etc/x", Action.FILE_RENAME, original="/etc/old"), True),
        ("SYSCALL: mknod", NODE, True),
        ("SYSCALL: mknod", file("/work/n", created=True), False),
        ("SYSCALL: openat, success: 'no'", file("/etc/x", error=13), True),
        ("SYSCALL: openat, exit: -13", file("/etc/x", error=13), True),
        ("type: SOCKADDR, SYSCALL: connect", connected("192.0.2.1", 22), True),
        ("SYSCALL: ptrace", bounded(Action.PTRACE), True),
        ("key: tampering, type: SYSCALL", CHMOD, False),
    ],
)
def test_what_a_rule_sees(tmp_path: Path, selection: str, made: Event, expected: bool) -> None:
    assert judged(tmp_path, selection, made) is expected


def test_a_rule_that_needs_an_audit_key_is_skipped(tmp_path: Path) -> None:
    text = "title: T\nlogsource: {product: linux, service: auditd}\ndetection: {s: {key: x}, condition: s}\n"
    (skipped,) = rules_of(tmp_path, "", text).skipped
    assert skipped.reason == "can never match: Linux events do not have key"
