"""The detections of boundary acts: what each finds, what is near and not meant."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.unit.rules.made import bounded, broken, connected_unix, file, rules_of, sigma_rule
from tracer.events import Action, Credentials, Event, Level, Relation, Target
from tracer.rules import RuleSet, load_rules

SETNS = "Namespace of another process entered"
MOUNT = "File system mounted with the rights of the machine"
TAKEN = "Process outside the sandbox taken over"
SIGNAL = "Signal to a process outside the sandbox"
MODULE = "Code loaded into the kernel"
BPF = "BPF program loaded"
ROOT = "Root rights gained by a process that had none"
SOCKET = "Connection to a container runtime or the service manager"
SETTING = "Setting of the kernel changed"
HELPER = "Program set that the kernel will run"
CGROUP = "Sandbox cgroup left"

OUTSIDE = Target(1, "1-0", "systemd", Relation.OUTSIDE)
INSIDE = Target(42, "2a-7", "child", Relation.INSIDE)


def ids(uid: int, euid: int, suid: int, effective: int = 0) -> Credentials:
    return Credentials(uid, euid, suid, euid, 1000, 1000, 1000, 1000, effective, effective)


USER, SUPER = ids(1000, 1000, 1000), ids(0, 0, 0)


@pytest.fixture(scope="module")
def packs() -> RuleSet:
    return load_rules(None, [])


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (bounded(Action.SETNS, flags=("CLONE_NEWNS",)), SETNS),
        (bounded(Action.SETNS, error=errno.EPERM), SETNS),
        (bounded(Action.MOUNT, path="/mnt", source="/dev/vda", filesystem="ext4"), MOUNT),
        (bounded(Action.MOUNT, path="/mnt", error=errno.EPERM), MOUNT),
        (bounded(Action.PIVOT_ROOT, path="/r"), MOUNT),
        (bounded(Action.OPEN_TREE, path="/", flags=("OPEN_TREE_CLONE",)), MOUNT),
        (bounded(Action.PTRACE, operation="PTRACE_ATTACH", target=OUTSIDE), TAKEN),
        (bounded(Action.PTRACE, operation="PTRACE_SEIZE", target=OUTSIDE, error=errno.EPERM), TAKEN),
        (bounded(Action.PROCESS_VM_WRITE, target=OUTSIDE), TAKEN),
        (bounded(Action.PROCESS_MEM_OPEN, target=OUTSIDE, path="/proc/1/mem"), TAKEN),
        (bounded(Action.PIDFD_GETFD, target=OUTSIDE), TAKEN),
        (bounded(Action.KILL, operation="SIGKILL", target=OUTSIDE), SIGNAL),
        (bounded(Action.KILL, operation="SIGTERM", target=OUTSIDE, error=errno.EPERM), SIGNAL),
        (bounded(Action.MODULE_LOAD, path="/tmp/x.ko"), MODULE),
        (bounded(Action.MODULE_UNLOAD, name="x", error=errno.EPERM), MODULE),
        (bounded(Action.BPF, operation="BPF_PROG_LOAD", error=errno.EPERM), BPF),
        (bounded(Action.SETUID, old=USER, new=SUPER), ROOT),
        (bounded(Action.SETUID, old=USER, new=ids(1000, 0, 1000)), ROOT),
        (connected_unix("/run/docker.sock"), SOCKET),
        (connected_unix("/run/user/1000/podman/podman.sock"), SOCKET),
        (connected_unix("/run/containerd/containerd.sock"), SOCKET),
        (connected_unix("/run/crio/crio.sock"), SOCKET),
        (connected_unix("/run/systemd/private"), SOCKET),
        (file("/proc/sys/net/ipv4/ip_forward"), SETTING),
        (file("/sys/fs/cgroup/memory.max"), SETTING),
        (file("/proc/sys/vm/overcommit_memory", error=errno.EROFS), SETTING),
        (file("/proc/sys/kernel/core_pattern"), HELPER),
        (file("/sys/fs/cgroup/rdma/release_agent"), HELPER),
        (file("/proc/sys/fs/binfmt_misc/register"), HELPER),
        (file("/proc/sysrq-trigger", error=errno.EACCES), HELPER),
        (bounded(Action.CGROUP_MOVE, call="", name="/", target=INSIDE), CGROUP),
    ],
)
def test_found(packs: RuleSet, made: Event, rule: str) -> None:
    assert broken(packs.judge(made)) == [rule]


@pytest.mark.parametrize(
    "made",
    [
        # Bubblewrap, rootless containers, browsers: in user namespaces of their own.
        bounded(Action.UNSHARE, flags=("CLONE_NEWUSER", "CLONE_NEWNS", "CLONE_NEWPID")),
        bounded(Action.SETNS, user_namespace_level=1),
        bounded(Action.SETNS, own_namespace=True),
        bounded(Action.MOUNT, path="/newroot", flags=("MS_BIND", "MS_REC"), user_namespace_level=1),
        bounded(Action.PIVOT_ROOT, path="/newroot", user_namespace_level=1),
        # unshare -m as root stops mounts from spreading before it does anything.
        bounded(Action.MOUNT, path="/", flags=("MS_REC", "MS_PRIVATE")),
        bounded(Action.UMOUNT, path="/mnt"),
        bounded(Action.OPEN_TREE, path="/etc"),
        bounded(Action.MOUNT, path="/nowhere", error=errno.ENOENT),
        bounded(Action.CHROOT, path="/jail"),
        # strace and gdb, on what the sandbox itself started.
        bounded(Action.PTRACE, operation="PTRACE_SEIZE", target=INSIDE),
        bounded(Action.PTRACE, operation="PTRACE_TRACEME"),
        bounded(Action.PTRACE, operation="PTRACE_ATTACH", error=errno.ESRCH),
        bounded(Action.PROCESS_VM_WRITE, target=INSIDE),
        bounded(Action.PROCESS_MEM_OPEN, target=INSIDE, path="/proc/42/mem"),
        bounded(Action.MODULE_LOAD, path="/x.ko", error=errno.ENOSYS),
        bounded(Action.BPF, operation="BPF_MAP_CREATE"),
        # Stepping down, giving up, and coming back as login programs do.
        bounded(Action.SETUID, old=SUPER, new=USER),
        bounded(Action.SETUID, old=ids(1000, 1000, 0), new=ids(1000, 0, 0)),
        bounded(Action.SETUID, old=ids(1000, 0, 0), new=SUPER),
        bounded(Action.SETUID, old=USER, new=USER, requested=(0,), error=errno.EPERM),
        bounded(Action.SETGID, old=SUPER, new=SUPER, requested=(0,)),
        bounded(Action.SETGROUPS, old=SUPER, new=SUPER),
        bounded(Action.CAPSET, old=SUPER, new=USER),
        connected_unix("/tmp/docker.socket"),
        connected_unix("/run/dbus/system_bus_socket"),
        connected_unix("@/docker.sockets"),
        file("/proc/self/oom_score_adj"),
        file("/work/proc/sys/kernel/core_pattern"),
        file("/work/sys/x"),
        file("/dev/null"),
        bounded(Action.CGROUP_MOVE, call="", name="/docker/x", target=OUTSIDE),
        bounded(Action.MEMFD_CREATE, name="pulseaudio"),
        bounded(Action.IO_URING_SETUP),
        bounded(Action.USERFAULTFD),
        bounded(Action.PERF_EVENT_OPEN, operation="PERF_TYPE_SOFTWARE"),
        bounded(Action.KEYCTL, operation="KEYCTL_READ"),
    ],
)
def test_near_and_not_meant(packs: RuleSet, made: Event) -> None:
    assert packs.judge(made) == ()


def test_sentences(packs: RuleSet) -> None:
    (violation,) = packs.judge(bounded(Action.KILL, operation="SIGKILL", target=OUTSIDE, error=errno.EPERM))
    assert violation.summary == (
        "python3.11 (pid 7) sent a signal to a process outside the sandbox: SIGKILL to systemd (pid 1)"
        " outside the sandbox; it was refused with EPERM"
    )
    assert violation.rule.level is Level.HIGH


@pytest.mark.parametrize(
    ("selection", "facts"),
    [
        ("rubicon.boundary.call: setresuid", {"call": "setresuid"}),
        ("rubicon.boundary.flags: CLONE_NEWUSER", {"flags": ("CLONE_NEWNS", "CLONE_NEWUSER")}),
        ("rubicon.boundary.path|startswith: /mnt", {"path": "/mnt/x"}),
        ("rubicon.boundary.source: /dev/vda", {"source": "/dev/vda"}),
        ("rubicon.boundary.filesystem: ext4", {"filesystem": "ext4"}),
        ("rubicon.boundary.name|contains: kit", {"name": "rootkit"}),
        ("rubicon.boundary.value: '1'", {"value": "1"}),
        ("rubicon.boundary.operation|startswith: PTRACE_POKE", {"operation": "PTRACE_POKETEXT"}),
        ("rubicon.boundary.target.pid: 1", {"target": OUTSIDE}),
        ("rubicon.boundary.target.name: systemd", {"target": OUTSIDE}),
        ("rubicon.boundary.target.relation: outside", {"target": OUTSIDE}),
        ("rubicon.boundary.user_namespace_level|gte: 1", {"user_namespace_level": 2}),
        ("rubicon.boundary.old.uid: 1000", {"old": USER, "new": SUPER}),
        ("rubicon.boundary.new.euid: 0", {"old": USER, "new": SUPER}),
        ("rubicon.boundary.gained_root: true", {"old": USER, "new": SUPER}),
        (
            "rubicon.boundary.capabilities.gained: CAP_SYS_ADMIN",
            {"old": USER, "new": ids(1000, 1000, 1000, 1 << 21)},
        ),
    ],
)
def test_fields(tmp_path: Any, selection: str, facts: dict[str, Any]) -> None:
    text = sigma_rule(f"  s:\n    {selection}\n  condition: s", "rubicon_boundary")
    rules = rules_of(tmp_path, "", text)
    assert broken(rules.judge(bounded(Action.PTRACE, **facts))) == ["T"]
    assert rules.judge(bounded(Action.PTRACE)) == ()
