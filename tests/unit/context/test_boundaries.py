"""Boundary records: each act by its names, and what is missing or odd."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import ADA, ROOT, SESSION, boundary, target
from tracer.context import Context
from tracer.context.symbols import choice, flags, signal_name
from tracer.errors import TraceError
from tracer.events import Action, Boundary, Event, Relation, capability_names
from tracer.records import Act, BoundaryRecord, Flag


def event_of(record: BoundaryRecord) -> Event:
    return Context(SESSION).event(record)


def detail_of(record: BoundaryRecord) -> Boundary:
    detail = event_of(record).detail
    assert isinstance(detail, Boundary)
    return detail


def test_every_act_has_an_action() -> None:
    assert {event_of(boundary(act, 100)).action for act in Act} == set(
        list(Action)[list(Action).index(Action.SETNS) :]
    )


def test_an_act_that_is_not_known() -> None:
    with pytest.raises(TraceError, match="act 99"):
        event_of(boundary(99, 100))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "facts", "words"),
    [
        (
            boundary(Act.MOUNT, 1, 0x5000, path="/work", name="mnt", name2="/dev/vda", name3="ext4"),
            {"path": "/work/mnt", "source": "/dev/vda", "filesystem": "ext4", "flags": ("MS_BIND", "MS_REC")},
            "ext4 /dev/vda on /work/mnt MS_BIND|MS_REC",
        ),
        (boundary(Act.MOUNT, 1, 0xC0ED0001, name="/a"), {"flags": ("MS_RDONLY",)}, "/a MS_RDONLY"),
        (boundary(Act.UMOUNT, 1, 2, name="/a"), {"call": "umount2", "flags": ("MNT_DETACH",)}, "/a MNT_"),
        (
            boundary(Act.PIVOT_ROOT, 1, path="/r", name=".", path2="/r", name2="old"),
            {"path": "/r", "source": "/r/old"},
            "/r/old on /r",
        ),
        (boundary(Act.CHROOT, 1, path="/jail"), {"path": "/jail"}, "/jail"),
        (boundary(Act.CHROOT, 1, path="/w", name="jail", result=-1), {"path": "/w/jail"}, "/w/jail"),
        (
            boundary(Act.MOVE_MOUNT, 1, 4, path="/", name="", path2="/w", name2="m"),
            {"path": "/w/m", "source": "/", "flags": ("MOVE_MOUNT_F_EMPTY_PATH",)},
            "/ on /w/m MOVE_MOUNT_F_EMPTY_PATH",
        ),
        (
            boundary(Act.FSCONFIG, 1, 1, name2="size", name3="4k"),
            {"operation": "FSCONFIG_SET_STRING", "name": "size", "value": "4k"},
            "FSCONFIG_SET_STRING size=4k",
        ),
        (boundary(Act.MOUNT_SETATTR, 1, 0, 1, 8, name="/a"), {}, "/a MOUNT_ATTR_RDONLY|~MOUNT_ATTR_NOEXEC"),
        (
            boundary(Act.PTRACE, 1, 0x4206, target=target(42, 3)),
            {"operation": "PTRACE_SEIZE"},
            "PTRACE_SEIZE to sleep (pid 42) outside the sandbox",
        ),
        (boundary(Act.PROCESS_VM_WRITEV, 1, target=target(42, 2)), {}, "sleep (pid 42)"),
        (boundary(Act.KILL, 1, 9, 42, target=target(42, 3, "")), {}, "SIGKILL to process (pid 42) outside"),
        (boundary(Act.KILL, 1, 9, target=target(42, 3)), {"name": "own process group"}, "SIGKILL own"),
        (boundary(Act.BPF, 1, 14, 77), {"name": "id", "value": "77"}, "BPF_MAP_GET_FD_BY_ID id=77"),
        (boundary(Act.RT_SIGQUEUEINFO, 1, 37), {"operation": "SIGRTMIN+3"}, "SIGRTMIN+3"),
        (boundary(Act.SETRESUID, 1, 0, 2**32 - 1, 5, result=-1), {"requested": (0, -1, 5)}, "to 0, -1, 5"),
        (boundary(Act.SETUID, 1, 0, new=ROOT), {}, "uid 1000 → 0, euid 1000 → 0, gid 1000 → 0, egid"),
        (boundary(Act.BPF, 1, 5, name2="p"), {"operation": "BPF_PROG_LOAD", "path": ""}, "BPF_PROG_LOAD p"),
        (boundary(Act.BPF, 1, 99), {"operation": "99"}, "99"),
        (boundary(Act.FINIT_MODULE, 1, path="/x.ko"), {"path": "/x.ko"}, "/x.ko"),
        (boundary(Act.UNSHARE, 1, 0x10020000), {"flags": ("CLONE_NEWNS", "CLONE_NEWUSER")}, "CLONE_NEWNS|"),
        (boundary(Act.CLONE, 1, 0x10000011), {"call": "clone", "flags": ("CLONE_NEWUSER",)}, "CLONE_NEWUSER"),
        (boundary(Act.MEMFD_CREATE, 1, 1 << 20, name2="m"), {"flags": ("0x100000",)}, "m 0x100000"),
        (boundary(Act.CGROUP_MOVE, 1, name2="/else"), {"call": "", "name": "/else"}, "/else"),
        (
            boundary(Act.NETWORK_ENTER, 1, 7, path="/bin/nc", target=target(42, 3)),
            {"call": "", "path": "/bin/nc"},
            "/bin/nc of sleep (pid 42) outside the sandbox",
        ),
        (boundary(Act.UMOUNT, 1, flags=int(Flag.UNREADABLE)), {"path": ""}, ""),
    ],
)  # fmt: skip
def test_acts(record: BoundaryRecord, facts: dict[str, Any], words: str) -> None:
    detail = detail_of(record)
    assert {name: getattr(detail, name) for name in facts} == facts
    assert detail.words().startswith(words)


def test_who_becomes_root() -> None:
    assert detail_of(boundary(Act.SETUID, 1, new=ROOT)).gained_root
    assert not detail_of(boundary(Act.SETUID, 1, old=ROOT)).gained_root  # gives it up
    assert not detail_of(boundary(Act.SETUID, 1, old=ROOT, new=ROOT)).gained_root
    assert not detail_of(boundary(Act.MOUNT, 1, new=ROOT)).gained_root  # no act on credentials
    assert ADA.uid == 1000


def test_targets() -> None:
    found = detail_of(boundary(Act.KILL, 1, 9, target=target(42, 3))).target
    assert found is not None
    assert (found.pid, found.name, found.relation) == (42, "sleep", Relation.OUTSIDE)
    assert detail_of(boundary(Act.KILL, 1, 9, target=target(42, 77))).target is None


def test_names_of_numbers() -> None:
    assert flags({1: "A", 4: "B"}, 5) == ("A", "B")
    assert flags({1: "A"}, 3, "~") == ("~A", "~0x2")
    assert choice({1: "A"}, 2) == "2"
    assert [signal_name(number) for number in (9, 34, 64, 0, 99)] == [
        "SIGKILL",
        "SIGRTMIN",
        "SIGRTMAX",
        "0",
        "99",
    ]
    assert capability_names(1 << 21 | 1 << 40 | 1 << 41) == [
        "CAP_SYS_ADMIN",
        "CAP_CHECKPOINT_RESTORE",
        "CAP_41",
    ]
