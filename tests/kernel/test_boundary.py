"""boundary.bpf.c: acts on namespaces, mounts, credentials, other processes, the kernel; done and refused."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Cgroup, Triggers, cgroup2_mount
from tests.kernel.watching import Gated, Watch, flags, place, python
from tracer.capture import Wanted
from tracer.records import Act, BoundaryRecord, Flag

NONE, SELF, INSIDE, OUTSIDE = range(4)  # enum rb_relation
ALL = (1 << 41) - 1


def said(record: BoundaryRecord) -> tuple[int, int, int]:
    """Act, first value, and 0 or -errno."""
    return record.act, record.value1, min(record.result, 0)


def text(record: BoundaryRecord) -> str:
    return record.target.comm.rstrip(b"\0").decode()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not watched, sleeps, and ends with the test."""
    with subprocess.Popen(["sleep", "300"]) as process:
        try:
            yield process
        finally:
            process.kill()


# ---- namespaces and mounts


@pytest.mark.short
@pytest.mark.route("boundary: setns, unshare, clone into namespaces", Act.SETNS, Act.UNSHARE, Act.CLONE)
def test_namespaces(watch: Watch) -> None:
    run = watch.python(
        """
NEWUTS, NEWNET, NEWUSER = 0x4000000, 0x40000000, 0x10000000
fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
print(os.fstat(fd).st_ino)
for i in range(5): assert call(272, NEWUTS) == 0
for i in range(3): assert call(308, fd, 0) == 0
assert call(308, fd, NEWNET) == -errno.EINVAL
assert call(308, 999, 0) == -errno.EBADF
assert call(272, 0x7fffffff) == -errno.EINVAL
child = call(56, NEWUTS | 17, 0, 0, 0, 0)
if child == 0: os._exit(0)
os.waitpid(child, 0)
arguments = struct.pack("8Q", NEWUTS, 0, 0, 0, 17, 0, 0, 0)
child = call(435, arguments, 64)
if child == 0: os._exit(0)
os.waitpid(child, 0)
if os.fork() == 0: os._exit(0)      # no namespace, no act
os.wait()
"""
    )
    inode = int(run.output)
    newuts, newnet = 0x4000000, 0x40000000
    assert [said(each) for each in run.boundaries] == [
        *[(Act.UNSHARE, newuts, 0)] * 5,
        *[(Act.SETNS, newuts, 0)] * 3,
        (Act.SETNS, newnet, -errno.EINVAL),
        (Act.SETNS, 0, -errno.EBADF),
        (Act.UNSHARE, 0x7FFFFFFF, -errno.EINVAL),
        (Act.CLONE, newuts | signal.SIGCHLD, 0),
        (Act.CLONE, newuts, 0),
    ]
    assert [each.value2 for each in run.boundaries if each.act == Act.SETNS] == [inode] * 4 + [0]
    assert {each.target.relation for each in run.boundaries} == {NONE}


def test_namespaces_that_are_the_scopes_own(watch: Watch) -> None:
    """It was in them from the start, or made them; those of another are not."""
    watch.scope = 2  # whose namespaces no test before this one has made: their numbers come again
    with subprocess.Popen(["unshare", "--uts", "--net", "sleep", "300"]) as stranger:
        try:
            own = os.stat("/proc/self/ns/uts").st_ino
            while os.stat(f"/proc/{stranger.pid}/ns/uts").st_ino == own:
                os.sched_yield()
            run = watch.python(
                """
NEWUTS, NEWNET = 0x4000000, 0x40000000
kinds = "uts", "ipc", "user", "mnt", "cgroup", "pid", "time"
first = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in kinds]
assert call(272, NEWUTS) == 0
second = os.open("/proc/self/ns/uts", os.O_RDONLY)
assert call(308, first[0], 0) == 0
assert call(308, second, 0) == 0
for fd in first[1:]: assert call(308, fd, 0) in (0, -errno.EINVAL)
child = call(56, NEWNET | 17, 0, 0, 0, 0)
if child == 0: os.read(os.pipe()[0], 1)
born = os.open(f"/proc/{child}/ns/net", os.O_RDONLY)
os.kill(child, 9)
os.waitpid(child, 0)
assert call(308, born, 0) == 0
for name in ("uts", "net", "ipc"):
    fd = os.open(f"/proc/{args[0]}/ns/{name}", os.O_RDONLY)
    assert call(308, fd, 0) == 0
""",
                str(stranger.pid),
            )
        finally:
            stranger.kill()
    entered = [each.value3 for each in run.boundaries if each.act == Act.SETNS]
    assert entered == [1] * 9 + [0, 0, 1]


def test_a_user_namespace_gives_capabilities_in_itself_only(watch: Watch) -> None:
    run = watch.python(
        """
os.setresgid(1000, 1000, 1000)
os.setresuid(1000, 1000, 1000)
assert call(272, 0x10000000) == 0
assert call(165, b"none", b"/", b"tmpfs", 0, 0) == -errno.EPERM
"""
    )
    *_, unshare, mount = run.boundaries
    assert (unshare.old.effective, unshare.new.effective) == (0, ALL)
    assert (unshare.new.uid, unshare.user_ns_level) == (1000, 1)
    assert (mount.act, mount.user_ns_level, mount.result) == (Act.MOUNT, 1, -errno.EPERM)


def test_setns_by_pidfd(watch: Watch, stranger: subprocess.Popen[bytes]) -> None:
    run = watch.python(
        "fd = os.pidfd_open(int(args[0]))\nassert call(308, fd, 0x4000000) == 0", str(stranger.pid)
    )
    (setns,) = run.boundaries
    assert (setns.target.pid, text(setns), setns.target.relation) == (stranger.pid, "sleep", OUTSIDE)
    assert said(setns) == (Act.SETNS, 0x4000000, 0)


@pytest.mark.short
@pytest.mark.route(
    "boundary: mount, umount, chroot, pivot_root", Act.MOUNT, Act.UMOUNT, Act.CHROOT, Act.PIVOT_ROOT
)
def test_mounts(watch: Watch, here: Path) -> None:
    (here / "root" / "old").mkdir(parents=True)
    run = watch.python(
        """
assert call(272, 0x20000) == 0
assert call(165, 0, b"/", 0, 0x44000, 0) == 0
for i in range(3): assert call(165, b"from", b"root", b"tmpfs", 1, 0) == 0
assert call(165, b"none", b"missing", b"tmpfs", 0, 0) == -errno.ENOENT
for i in range(2): assert call(166, b"root", 2) == 0
assert call(166, b"missing", 0) == -errno.ENOENT
assert call(155, b"missing", b"missing/old") == -errno.ENOENT
assert call(165, b"none", b"root", b"tmpfs", 0, 0) == 0
os.mkdir("root/old")
assert call(155, b"root", b"root/old") == 0
assert call(161, b"missing") == -errno.ENOENT
assert call(161, b"/old") == 0
""",
        cwd=here,
    )
    unshare, private, *mounts = run.boundaries
    assert (said(unshare), said(private)) == ((Act.UNSHARE, 0x20000, 0), (Act.MOUNT, 0x44000, 0))
    assert [(*said(each), place(each.path, each.name)) for each in mounts[:4]] == [
        *[(Act.MOUNT, 1, 0, f"{here}/root")] * 3,
        (Act.MOUNT, 0, -errno.ENOENT, f"{here}/missing"),
    ]
    assert {(each.name2, each.name3) for each in mounts[:3]} == {("from", "tmpfs")}
    assert {flags(each) for each in mounts[:4]} == {Flag.USER_EVIDENCE}
    assert [(*said(each), place(each.path, each.name)) for each in mounts[4:7]] == [
        *[(Act.UMOUNT, 2, 0, f"{here}/root")] * 2,
        (Act.UMOUNT, 0, -errno.ENOENT, f"{here}/missing"),
    ]
    refused, new, pivot, no_root, root = mounts[7:]
    assert (refused.act, refused.result, refused.name2) == (Act.PIVOT_ROOT, -errno.ENOENT, "missing/old")
    assert (new.act, new.name, new.result) == (Act.MOUNT, "root", 0)
    assert (pivot.act, pivot.result, pivot.name, pivot.name2) == (Act.PIVOT_ROOT, 0, "root", "root/old")
    assert (no_root.act, no_root.result, no_root.name) == (Act.CHROOT, -errno.ENOENT, "missing")
    assert (root.act, root.result, root.path, flags(root)) == (Act.CHROOT, 0, "/old", Flag(0))


@pytest.mark.route("boundary: the new mount calls", Act.FSOPEN, Act.FSMOUNT, Act.MOVE_MOUNT, Act.OPEN_TREE)
def test_new_mount_api(watch: Watch, here: Path) -> None:
    (here / "mnt").mkdir()
    run = watch.python(
        """
AT, CLONE, EMPTY = -100, 1, 0x1000
assert call(272, 0x20000) == 0
assert call(165, 0, b"/", 0, 0x44000, 0) == 0
fs = call(430, b"tmpfs", 1)
assert call(431, fs, 1, b"size", b"64k", 0) == 0
assert call(431, fs, 6, 0, 0, 0) == 0
mount = call(432, fs, 1, 1)
assert call(429, mount, b"", AT, b"mnt", 4) == 0
attributes = struct.pack("4Q", 8, 1, 0, 0)
assert call(442, AT, b"mnt", 0, attributes, 32) == 0
assert call(428, AT, b"mnt", CLONE) > 0
assert call(433, AT, b"mnt", 0) > 0
assert call(430, b"nonesuch", 0) == -errno.ENODEV
assert call(431, 999, 6, 0, 0, 0) == -errno.EBADF
assert call(432, 999, 0, 0) == -errno.EBADF
assert call(429, 999, b"", AT, b"mnt", 4) == -errno.EBADF
assert call(442, AT, b"missing", 0, attributes, 32) == -errno.ENOENT
assert call(428, AT, b"missing", CLONE) == -errno.ENOENT
assert call(433, AT, b"missing", 0) == -errno.ENOENT
""",
        cwd=here,
    )
    done, refused = run.boundaries[2:10], run.boundaries[10:]
    assert [said(each) for each in done] == [
        (Act.FSOPEN, 1, 0),
        (Act.FSCONFIG, 1, 0),
        (Act.FSCONFIG, 6, 0),
        (Act.FSMOUNT, 1, 0),
        (Act.MOVE_MOUNT, 4, 0),
        (Act.MOUNT_SETATTR, 0, 0),
        (Act.OPEN_TREE, 1, 0),
        (Act.FSPICK, 0, 0),
    ]
    fsopen, size, _create, fsmount, moved, setattr_, tree, picked = done
    assert (fsopen.name3, size.name2, size.name3, fsmount.value2) == ("tmpfs", "size", "64k", 1)
    assert place(moved.path2, moved.name2) == f"{here}/mnt"
    assert (setattr_.value2, setattr_.value3) == (8, 1)
    assert {place(each.path, each.name) for each in (setattr_, tree, picked)} == {f"{here}/mnt"}
    assert [(each.act, each.result) for each in refused] == [
        (Act.FSOPEN, -errno.ENODEV),
        (Act.FSCONFIG, -errno.EBADF),
        (Act.FSMOUNT, -errno.EBADF),
        (Act.MOVE_MOUNT, -errno.EBADF),
        (Act.MOUNT_SETATTR, -errno.ENOENT),
        (Act.OPEN_TREE, -errno.ENOENT),
        (Act.FSPICK, -errno.ENOENT),
    ]


# ---- credentials


def ids(record: BoundaryRecord, when: str) -> tuple[int, ...]:
    c = getattr(record, when)
    return c.uid, c.euid, c.suid, c.fsuid, c.gid, c.egid, c.sgid, c.fsgid


@pytest.mark.short
@pytest.mark.route("boundary: setuid, setgid and the like", Act.SETRESUID, Act.SETRESGID, Act.SETGROUPS)
def test_credentials(watch: Watch) -> None:
    run = watch.python(
        """
assert call(116, 2, struct.pack("2I", 5, 7)) == 0
assert call(123, 11) == 0
assert call(119, 13, 17, 0) == 0
assert call(114, -1, 19) == 0
assert call(106, 23) == 0
assert call(122, 29) == 0
assert call(117, -1, 1000, 0) == 0      # steps down, and may come back
assert call(117, -1, 0, -1) == 0
assert call(113, 31, 37) == 0
assert call(105, 41) == -errno.EPERM
assert call(106, 0) == -errno.EPERM
assert call(117, 0, 0, 0) == -errno.EPERM
assert call(116, 0, 0) == -errno.EPERM
"""
    )
    assert [said(each) for each in run.boundaries] == [
        (Act.SETGROUPS, 2, 0),
        (Act.SETFSGID, 11, 0),
        (Act.SETRESGID, 13, 0),
        (Act.SETREGID, 0xFFFFFFFF, 0),
        (Act.SETGID, 23, 0),
        (Act.SETFSUID, 29, 0),
        (Act.SETRESUID, 0xFFFFFFFF, 0),
        (Act.SETRESUID, 0xFFFFFFFF, 0),
        (Act.SETREUID, 31, 0),
        (Act.SETUID, 41, -errno.EPERM),
        (Act.SETGID, 0, -errno.EPERM),
        (Act.SETRESUID, 0, -errno.EPERM),
        (Act.SETGROUPS, 0, -errno.EPERM),
    ]
    steps = [ids(run.boundaries[0], "old"), *(ids(each, "new") for each in run.boundaries)]
    assert [ids(each, "old") for each in run.boundaries] == steps[:-1]  # each begins where the last one ended
    assert steps[1:10] == [
        (0, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 11),
        (0, 0, 0, 0, 13, 17, 0, 17),
        (0, 0, 0, 0, 13, 19, 19, 19),
        (0, 0, 0, 0, 23, 23, 23, 23),
        (0, 0, 0, 29, 23, 23, 23, 23),
        (0, 1000, 0, 1000, 23, 23, 23, 23),
        (0, 0, 0, 0, 23, 23, 23, 23),
        (31, 37, 37, 37, 23, 23, 23, 23),
    ]
    assert run.boundaries[8].old.effective != 0
    assert run.boundaries[8].new.effective == 0
    assert {flags(each) for each in run.boundaries} == {Flag(0)}


@pytest.mark.route("boundary: capset", Act.CAPSET)
def test_capset(watch: Watch) -> None:
    run = watch.python(
        """
header = struct.pack("Ii", 0x20080522, 0)
for each in (7, 3, 1): assert call(126, header, struct.pack("6I", each, 7, 0, 0, 0, 0)) == 0
assert call(126, header, struct.pack("6I", 8, 8, 0, 0, 0, 0)) == -errno.EPERM
"""
    )
    assert [(each.act, each.result) for each in run.boundaries] == [
        *[(Act.CAPSET, 0)] * 3,
        (Act.CAPSET, -errno.EPERM),
    ]
    assert [(each.new.effective, each.new.permitted) for each in run.boundaries] == [
        (7, 7),
        (3, 7),
        (1, 7),
        (1, 7),
    ]
    assert [each.old.effective for each in run.boundaries[1:]] == [7, 3, 1]


# ---- other processes


@pytest.mark.route("boundary: ptrace", Act.PTRACE)
def test_ptrace(watch: Watch) -> None:
    run = watch.python(
        """
ready, done = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.read(done[0], 1)
    os._exit(0)
assert call(101, 16, child, 0, 0) == 0              # ATTACH
os.waitpid(child, 0)
word = ctypes.create_string_buffer(8)
where = next(int(line.split("-")[0], 16) for line in open(f"/proc/{child}/maps") if " rw" in line)
for i in range(3): assert call(101, 4, child, where, 0) == 0
for i in range(5): call(101, 1, child, where, word)      # looking is no act
assert call(101, 17, child, 0, 0) == 0              # DETACH, neither
assert call(101, 0x4206, child, 0, 0) == 0          # SEIZE
assert call(101, 16, 0x3fffff, 0, 0) == -errno.ESRCH
os.write(done[1], b"x")
if os.fork() == 0:
    assert call(101, 0, 0, 0, 0) == 0               # TRACEME
    os._exit(0)
print(child)
os.wait(); os.wait()
"""
    )
    child = int(run.output)
    attach, *pokes, seize, nobody, traceme = run.boundaries
    assert [said(each) for each in run.boundaries] == [
        (Act.PTRACE, 16, 0),
        *[(Act.PTRACE, 4, 0)] * 3,
        (Act.PTRACE, 0x4206, 0),
        (Act.PTRACE, 16, -errno.ESRCH),
        (Act.PTRACE, 0, 0),
    ]
    assert {(each.target.pid, each.target.relation) for each in (attach, *pokes, seize)} == {(child, INSIDE)}
    starts = {each.start_ns for each in run.forks if each.pid == child}
    assert {each.target.start_ns for each in (attach, *pokes, seize)} == starts
    assert (nobody.target.relation, nobody.value2) == (NONE, 0x3FFFFF)
    assert traceme.target.relation == NONE
    assert traceme.pid != run.pid


@pytest.mark.route(
    "boundary: /proc/PID/mem, process_vm_writev, pidfd_getfd",
    Act.MEM_OPEN,
    Act.PROCESS_VM_WRITEV,
    Act.PIDFD_GETFD,
)
def test_memory_and_files_of_others(watch: Watch, stranger: subprocess.Popen[bytes]) -> None:
    run = watch.python(
        """
other = int(args[0])
where = next(int(line.split("-")[0], 16) for line in open(f"/proc/{other}/maps") if " rw" in line)
mine = ctypes.create_string_buffer(bytes(8))
vector = struct.pack("QQ", ctypes.addressof(mine), 8)
theirs = struct.pack("QQ", where, 8)
assert call(310, other, vector, 1, theirs, 1, 0) == 8       # what is written back
for i in range(3): assert call(311, other, vector, 1, theirs, 1, 0) == 8
assert call(311, other, vector, 1, struct.pack("QQ", 0, 8), 1, 0) == -errno.EFAULT
assert call(311, 0x3fffff, vector, 1, theirs, 1, 0) == -errno.ESRCH
assert call(311, os.getpid(), vector, 1, struct.pack("QQ", ctypes.addressof(mine), 8), 1, 0) == 8
os.close(os.open(f"/proc/{other}/mem", os.O_RDWR))
os.close(os.open(f"/proc/{os.getpid()}/mem", os.O_RDWR))
os.close(os.open(f"/proc/{other}/mem", os.O_RDONLY))
pidfd = os.pidfd_open(other)
got = call(438, pidfd, 0, 0)
assert got > 0
assert call(438, pidfd, 999, 0) == -errno.EBADF
assert call(438, 0, 0, 0) == -errno.EBADF
""",
        str(stranger.pid),
    )
    to = (stranger.pid, OUTSIDE)
    assert [
        (each.act, min(each.result, 0), each.target.pid, each.target.relation) for each in run.boundaries
    ] == [
        *[(Act.PROCESS_VM_WRITEV, 0, *to)] * 3,
        (Act.PROCESS_VM_WRITEV, -errno.EFAULT, *to),
        (Act.PROCESS_VM_WRITEV, -errno.ESRCH, 0, NONE),
        (Act.MEM_OPEN, 0, *to),
        (Act.PIDFD_GETFD, 0, *to),
        (Act.PIDFD_GETFD, -errno.EBADF, *to),
        (Act.PIDFD_GETFD, -errno.EBADF, 0, NONE),
    ]
    opened = run.boundaries[5]
    assert (opened.path, flags(opened), text(opened)) == (f"/proc/{stranger.pid}/mem", Flag(0), "sleep")


@pytest.mark.short
@pytest.mark.route("boundary: signals to strangers", Act.KILL, Act.TGKILL, Act.PIDFD_SEND_SIGNAL)
def test_signals_leave_traces_only_outside(watch: Watch, stranger: subprocess.Popen[bytes]) -> None:
    run = watch.python(
        """
import signal
other, URG = int(args[0]), 23
signal.signal(URG, signal.SIG_IGN)
os.kill(os.getpid(), URG)                                # itself
child = os.fork()
if child == 0: signal.pause()
os.kill(child, 9); os.wait()                             # its own
os.kill(other, 0)                                        # nothing is sent
for i in range(5): os.kill(other, URG)
for i in range(3): assert call(200, other, URG) == 0
for i in range(2): assert call(234, other, other, URG) == 0
pidfd = os.pidfd_open(other)
for i in range(7): assert call(424, pidfd, URG, 0, 0) == 0
info = struct.pack("iiiiii", URG, 0, -1, 0, os.getpid(), 0) + bytes(104)
assert call(129, other, URG, info) == 0
assert call(297, other, other, URG, info) == 0
assert call(62, other, 99) == -errno.EINVAL
assert call(62, 0x3fffff, URG) == -errno.ESRCH           # nobody is there
os.setresuid(65534, 65534, 65534)
assert call(62, other, 15) == -errno.EPERM
assert call(424, pidfd, 15, 0, 0) == -errno.EPERM
""",
        str(stranger.pid),
    )
    signals = [each for each in run.boundaries if each.act >= Act.KILL]
    assert [said(each) for each in signals] == [
        *[(Act.KILL, signal.SIGURG, 0)] * 5,
        *[(Act.TKILL, signal.SIGURG, 0)] * 3,
        *[(Act.TGKILL, signal.SIGURG, 0)] * 2,
        *[(Act.PIDFD_SEND_SIGNAL, signal.SIGURG, 0)] * 7,
        (Act.RT_SIGQUEUEINFO, signal.SIGURG, 0),
        (Act.RT_TGSIGQUEUEINFO, signal.SIGURG, 0),
        (Act.KILL, 99, -errno.EINVAL),
        (Act.KILL, signal.SIGTERM, -errno.EPERM),
        (Act.PIDFD_SEND_SIGNAL, signal.SIGTERM, -errno.EPERM),
    ]
    assert {(each.target.pid, text(each), each.target.relation) for each in signals} == {
        (stranger.pid, "sleep", OUTSIDE)
    }
    assert stranger.poll() is None


def test_a_signal_to_a_group_names_each_stranger_in_it(watch: Watch) -> None:
    """The group has two strangers and a member; the member's own share is no act."""
    with (
        subprocess.Popen(["sleep", "300"], process_group=0) as first,
        subprocess.Popen(["sleep", "300"], process_group=first.pid) as second,
    ):
        try:
            run = watch.python(
                """
import signal
signal.signal(23, signal.SIG_IGN)
os.setpgid(0, int(args[0]))
os.killpg(0, 23)
""",
                str(first.pid),
            )
        finally:
            first.kill()
            second.kill()
    sent = [each for each in run.boundaries if each.act == Act.KILL]
    assert sorted((each.target.pid, each.value2, each.result) for each in sent) == sorted(
        [(first.pid, 0, 0), (second.pid, 0, 0)]
    )


def test_pids_are_those_of_the_callers_namespace(watch: Watch) -> None:
    """In a pid namespace of its own 1 is its init, and not that of the machine."""
    run = watch.python(
        """
assert call(272, 0x20000000) == 0
init = os.fork()
if init == 0:
    assert call(101, 16, 1, 0, 0) == -errno.EPERM       # itself: refused
    other = os.fork()
    if other == 0:
        assert call(101, 0x4206, 1, 0, 0) == 0
        os._exit(0)
    os.wait()
    os._exit(0)
print(init)
os.wait()
"""
    )
    own, parent = (each for each in run.boundaries if each.act == Act.PTRACE)
    init = int(run.output)
    assert (own.target.pid, own.target.relation) == (init, SELF)
    assert (parent.target.pid, parent.target.relation) == (init, INSIDE)


# ---- the kernel


@pytest.mark.short
@pytest.mark.route("boundary: bpf, perf_event_open", Act.BPF, Act.PERF_EVENT_OPEN)
@pytest.mark.route(
    "boundary: kernel modules", Act.INIT_MODULE, Act.FINIT_MODULE, Act.DELETE_MODULE, failed=True
)
def test_kernel_interfaces(watch: Watch, here: Path) -> None:
    (here / "module.ko").write_bytes(b"no module")
    run = watch.python(
        """
SCHED_SWITCH = struct.pack("IIQ", 1, 64, 9) + bytes(48)   # software, dummy
for i in range(3): assert call(298, SCHED_SWITCH, 0, -1, -1, 0) > 0
assert call(298, struct.pack("IIQ", 1, 64, 9999) + bytes(48), 0, -1, -1, 0) < 0
array = struct.pack("IIII", 2, 4, 8, 1) + bytes(100)
fd = call(321, 0, array, 64)
assert fd > 0
key, value = ctypes.create_string_buffer(bytes(4)), ctypes.create_string_buffer(bytes(8))
element = struct.pack("IxxxxQQQ", fd, ctypes.addressof(key), ctypes.addressof(value), 0)
assert call(321, 2, element, 32) == 0                     # of what it holds: no act
assert call(321, 5, bytes(128), 128) < 0
path = ctypes.create_string_buffer(b"missing/map")
assert call(321, 7, struct.pack("QII", ctypes.addressof(path), 0, 0), 16) == -errno.ENOENT
with open("module.ko") as file: assert call(313, file.fileno(), b"a=1", 0) < 0
assert call(175, b"no module", 9, b"b=2") < 0
assert call(176, b"nonesuch", 0o4000) < 0
""",
        cwd=here,
    )
    acts = run.boundaries
    assert [(each.act, each.value1, each.result >= 0) for each in acts] == [
        *[(Act.PERF_EVENT_OPEN, 1, True)] * 3,
        (Act.PERF_EVENT_OPEN, 1, False),
        (Act.BPF, 0, True),
        (Act.BPF, 5, False),
        (Act.BPF, 7, False),
        (Act.FINIT_MODULE, 0, False),
        (Act.INIT_MODULE, 9, False),
        (Act.DELETE_MODULE, 0o4000, False),
    ]
    assert [each.value4 for each in acts[:4]] == [9, 9, 9, 9999]
    assert acts[4].value2 == 2
    assert (place(acts[6].path, acts[6].name), acts[6].result) == (f"{here}/missing/map", -errno.ENOENT)
    assert (acts[7].path, acts[7].name2) == (f"{here}/module.ko", "a=1")
    assert (acts[8].name2, acts[9].name2) == ("b=2", "nonesuch")


@pytest.mark.route("boundary: memfd_create, userfaultfd", Act.MEMFD_CREATE)
def test_descriptors_of_many_powers(watch: Watch) -> None:
    run = watch.python(
        """
for i in range(5): assert call(319, b"hidden", 1) > 0
assert call(319, b"x" * 250, 0) == -errno.EINVAL
params = ctypes.create_string_buffer(bytes(120))
ring = call(425, 2, params)
assert call(425, 0, params) < 0
for i in range(2): assert call(323, 1) > 0
assert call(323, 1 << 30) == -errno.EINVAL
key = call(248, b"user", b"rubicon-test", b"secret", 6, -2)
assert key > 0
assert call(249, b"user", b"nonesuch", 0, 0) == -errno.ENOKEY
assert call(250, 3, key) == 0                       # REVOKE
assert call(250, 999, 0) == -errno.EOPNOTSUPP
print(ring, key)
"""
    )
    ring, key = map(int, run.output.split())
    acts = run.boundaries
    assert [(*said(each), each.name2) for each in acts[:6]] == [
        *[(Act.MEMFD_CREATE, 1, 0, "hidden")] * 5,
        (Act.MEMFD_CREATE, 0, -errno.EINVAL, "x" * 250),
    ]
    assert [(each.act, each.value2, each.result) for each in acts[6:8]] == [
        (Act.IO_URING_SETUP, 2, ring),
        (Act.IO_URING_SETUP, 0, acts[7].result),
    ]
    assert acts[7].result < 0
    assert [said(each) for each in acts[8:11]] == [
        *[(Act.USERFAULTFD, 1, 0)] * 2,
        (Act.USERFAULTFD, 1 << 30, -errno.EINVAL),
    ]
    add, request, revoke, unknown = acts[11:]
    assert (add.act, add.name2, add.name3, add.result) == (Act.ADD_KEY, "rubicon-test", "user", key)
    assert (request.act, request.name2, request.result) == (Act.REQUEST_KEY, "nonesuch", -errno.ENOKEY)
    assert (said(revoke), revoke.value2) == ((Act.KEYCTL, 3, 0), key)
    assert said(unknown) == (Act.KEYCTL, 999, -errno.EOPNOTSUPP)


# ---- cgroups


@pytest.mark.route("boundary: moved out of the watched cgroup", Act.CGROUP_MOVE)
def test_leaving_a_watched_cgroup(
    watch: Watch, triggers: Triggers, new_cgroup: Callable[[str], Cgroup]
) -> None:
    """To another cgroup: an act. To one below: none. What leaves stays watched."""
    outer, other = new_cgroup("outer"), new_cgroup("other")
    inner = new_cgroup("outer/inner")
    gate = Gated(
        triggers("gate"),
        [
            *python(
                """
for path in args:
    with open(path + "/cgroup.procs", "w") as file: file.write("0")
assert call(272, 0x4000000) == 0
"""
            ),
            str(inner.path),
            str(other.path),
        ],
    )
    try:
        (outer.path / "cgroup.procs").write_text(str(gate.pid))
        watch.source.add_cgroup(outer.id, watch.scope)
        gate.go()
    finally:
        gate.end()
    assert gate.status == 0
    move, unshare = (each for each in watch.records() if isinstance(each, BoundaryRecord))
    assert (move.act, move.pid, move.value1) == (Act.CGROUP_MOVE, gate.pid, other.id)
    assert (move.target.pid, move.target.relation) == (gate.pid, SELF)
    assert move.name2.rpartition("/")[2] == other.path.name
    assert unshare.act == Act.UNSHARE


def test_born_into_another_cgroup(watch: Watch, new_cgroup: Callable[[str], Cgroup]) -> None:
    """clone3 with CLONE_INTO_CGROUP; a child in its parent's own cgroup has not left."""
    other = new_cgroup("other")
    run = watch.python(
        """
own = next(line.split("::")[1].strip() for line in open("/proc/self/cgroup") if line.startswith("0::"))
for path in (args[0], args[1] + own):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    child = call(435, struct.pack("11Q", 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd), 88)
    assert child >= 0
    if child == 0: os._exit(0)
    print(child)
    os.waitpid(child, 0)
""",
        other.path,
        cgroup2_mount() or "",
    )
    child, _second = map(int, run.output.split())
    (move,) = run.boundaries
    assert (move.act, move.pid, move.value1, move.name2) == (
        Act.CGROUP_MOVE,
        run.pid,
        other.id,
        other.path.name,
    )
    assert (move.target.pid, move.target.relation) == (child, INSIDE)


def test_moved_by_a_stranger(watch: Watch, triggers: Triggers, new_cgroup: Callable[[str], Cgroup]) -> None:
    other, outer = new_cgroup("other"), new_cgroup("outer")
    gate = Gated(triggers("gate"), ["/bin/true"])
    try:
        watch.source.add_process(Wanted(gate.pid, silent=True), watch.scope)
        (other.path / "cgroup.procs").write_text(str(gate.pid))  # by its parent: the set-up, no act
        command = ["sh", "-c", "echo $0 > $1", str(gate.pid), str(outer.path / "cgroup.procs")]
        with subprocess.Popen(command) as mover:
            pass
        gate.go()
    finally:
        gate.end()
    (move,) = (each for each in watch.records() if isinstance(each, BoundaryRecord))
    assert (move.act, move.pid) == (Act.CGROUP_MOVE, gate.pid)
    assert (move.target.pid, move.target.relation) == (mover.pid, OUTSIDE)


# ---- the other table, and nobody else


KEEP, ANY = 0xFFFFFFFF, 1  # an id of -1; an error that depends on the kernel
UTS = 0x4000000
I386 = [
    (Act.UNSHARE, UTS, 0),
    (Act.SETNS, UTS, -errno.EBADF),
    (Act.CLONE, UTS | signal.SIGCHLD, 0),
    (Act.CLONE, UTS, 0),
    (Act.MOUNT, 1, -errno.ENOENT),
    (Act.UMOUNT, 2, -errno.ENOENT),
    (Act.UMOUNT, 0, -errno.ENOENT),
    (Act.PIVOT_ROOT, 0, -errno.ENOENT),
    (Act.CHROOT, 0, -errno.ENOENT),
    (Act.MOVE_MOUNT, 4, ANY),
    (Act.FSOPEN, 1, -errno.ENODEV),
    (Act.FSCONFIG, 6, -errno.EBADF),
    (Act.FSMOUNT, 1, -errno.EBADF),
    (Act.FSPICK, 1, -errno.ENOENT),
    (Act.OPEN_TREE, 1, -errno.ENOENT),
    (Act.MOUNT_SETATTR, 0, 0),  # nothing to set: nothing is looked up
    (Act.PTRACE, 16, -errno.ESRCH),
    (Act.PROCESS_VM_WRITEV, 0, -errno.ESRCH),
    (Act.PIDFD_GETFD, 0, -errno.EBADF),
    (Act.BPF, 5, ANY),
    (Act.PERF_EVENT_OPEN, 0, -errno.EINVAL),
    (Act.INIT_MODULE, 9, ANY),
    (Act.FINIT_MODULE, 0, ANY),
    (Act.DELETE_MODULE, 0o4000, ANY),
    (Act.MEMFD_CREATE, 1, 0),
    (Act.ADD_KEY, 0, -errno.ENODEV),
    (Act.REQUEST_KEY, 0, ANY),
    (Act.KEYCTL, 999, -errno.EOPNOTSUPP),
    (Act.IO_URING_SETUP, 0, -errno.EINVAL),
    (Act.USERFAULTFD, 1 << 30, -errno.EINVAL),
    *((act, signal.SIGURG, 0) for act in Act if Act.KILL <= act <= Act.RT_TGSIGQUEUEINFO),
    (Act.SETGROUPS, 2, 0),
    (Act.SETGROUPS, 0, 0),
    (Act.SETFSGID, 11, 0),
    (Act.SETFSGID, 13, 0),
    (Act.SETRESGID, 17, 0),
    (Act.SETRESGID, 19, 0),
    (Act.SETREGID, KEEP, 0),
    (Act.SETREGID, KEEP, 0),
    (Act.SETGID, 31, 0),
    (Act.SETGID, 37, 0),
    (Act.SETFSUID, 41, 0),
    (Act.SETFSUID, 43, 0),
    (Act.SETRESUID, KEEP, 0),
    (Act.SETRESUID, KEEP, 0),
    (Act.SETREUID, KEEP, 0),
    (Act.SETREUID, KEEP, 0),
    (Act.CAPSET, 0, 0),
    (Act.SETUID, 1000, 0),
    (Act.SETUID, 0, 0),
    (Act.SETUID, 47, -errno.EPERM),
]


def test_i386(watch: Watch, stranger: subprocess.Popen[bytes]) -> None:
    """Every act by its 32-bit call; those that set ids, by both there are."""
    run = watch.trigger("boundary32", str(stranger.pid))
    assert run.status == 0
    assert {act for act, _value, _result in I386} == set(Act) - {
        Act.MEM_OPEN,
        Act.CGROUP_MOVE,
        Act.NETWORK_ENTER,
    }
    found = [said(each) for each in run.boundaries]
    anything = [(*each[:2], ANY) if want[2] == ANY else each for each, want in zip(found, I386, strict=False)]
    assert anything == I386
    assert all(each[2] < 0 for each, want in zip(found, I386, strict=True) if want[2] == ANY)
    signals = [each for each in run.boundaries if each.act >= Act.KILL]
    assert {(each.target.pid, each.target.relation) for each in signals} == {(stranger.pid, OUTSIDE)}
    groups = [(each.old.gid, each.new.gid) for each in run.boundaries if each.act == Act.SETRESGID]
    assert groups == [(0, 17), (17, 19)]
    users = [(each.old.euid, each.new.euid) for each in run.boundaries if each.act == Act.SETUID]
    assert users == [(0, 1000), (1000, 0), (0, 0)]
    capset = next(each for each in run.boundaries if each.act == Act.CAPSET)
    assert capset.old.effective != capset.new.effective == 1


def test_honest_work_is_no_boundary_act(watch: Watch, here: Path) -> None:
    (here / "a.c").write_text("int main(void) { return 0; }")
    run = watch.shell(
        """
set -e
gcc -o a a.c && ./a && sleep 0.01 & wait
git init -q . && tar cf a.tar a && grep -r main . >/dev/null
timeout 5 sleep 0.01; (sleep 0.01 & kill $!; wait)
""",
        cwd=here,
    )
    assert run.boundaries == []


def test_strangers_are_not_recorded(watch: Watch) -> None:
    subprocess.run(python("assert call(272, 0x4000000) == 0\nos.setuid(1000)"), check=True)
    assert watch.records() == []
