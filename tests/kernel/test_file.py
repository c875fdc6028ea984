"""file.bpf.c: files opened for writing, and what is written to them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, closed, flags, opened, where
from tracer.records import NO_DESCRIPTOR, Flag, Kind

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE


# ---- open, write, close


@pytest.mark.short
@pytest.mark.route("file: open, creat, write, close", Kind.OPEN, Kind.CLOSE)
def test_written_files(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
for i in range(31):
    fd = os.open(f"f{i}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    for _ in range(i % 5):
        os.write(fd, b"x" * (i + 1))
    os.close(fd)
""",
        cwd=here,
    )
    names = [f"{here}/f{i}" for i in range(31)]
    assert opened(run.opens) == [(name, 0) for name in names]
    assert closed(run.closes) == [(name, (i % 5) * (i + 1), i % 5) for i, name in enumerate(names)]
    assert [each.inode for each in run.opens] == [os.stat(name).st_ino for name in names]
    assert [each.inode for each in run.closes] == [os.stat(name).st_ino for name in names]
    assert {each.device for each in [*run.opens, *run.closes]} == {here.stat().st_dev}
    assert {each.mode for each in [*run.opens, *run.closes]} == {stat.S_IFREG | 0o640}
    assert {each.created for each in run.opens} == {1}
    assert {flags(each) for each in run.acts} == {KERNEL}
    assert [each.kind for each in run.acts] == [Kind.OPEN, Kind.CLOSE] * 31


def test_ways_to_open(watch: Watch, here: Path) -> None:
    (here / "old").write_text("old")
    (here / "sub").mkdir()
    run = watch.python(
        """
folder = os.open("sub", os.O_RDONLY)
how = struct.pack("QQQ", os.O_RDWR | os.O_CREAT, 0o600, 0)
fds = [
    call(85, b"creat", 0o644),
    call(2, b"open", os.O_WRONLY | os.O_CREAT, 0o644),
    call(257, folder, b"openat", os.O_RDWR | os.O_CREAT, 0o644),
    call(437, folder, b"openat2", how, 24),
    os.open("old", os.O_WRONLY | os.O_APPEND),
    os.open("empty", os.O_RDONLY | os.O_CREAT),
    os.open("../" + os.path.basename(os.getcwd()) + "/./old", os.O_RDWR),
    os.open(f"/proc/self/fd/{folder}/through", os.O_WRONLY | os.O_CREAT),
]
print(*fds)
for fd in fds: os.close(fd)
""",
        cwd=here,
    )
    names = ["creat", "open", "sub/openat", "sub/openat2", "old", "empty", "old", "sub/through"]
    assert [(where(each), each.result) for each in run.opens] == [
        (f"{here}/{name}", int(fd)) for name, fd in zip(names, run.output.split(), strict=True)
    ]
    assert [each.created for each in run.opens] == [1, 1, 1, 1, 0, 1, 0, 1]
    assert [each.open_flags & os.O_ACCMODE for each in run.opens] == [1, 1, 2, 2, 1, 0, 2, 1]
    writable = [
        name for name in names if name != "empty"
    ]  # what is only created is not followed to its close
    assert [each.path for each in run.closes] == [f"{here}/{name}" for name in writable]


@pytest.mark.route("file: open_by_handle_at", Kind.OPEN)
def test_open_by_handle(watch: Watch, here: Path) -> None:
    (here / "file").write_text("")
    run = watch.python(
        """
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
mount = ctypes.c_int()
if call(303, -100, b"file", handle, ctypes.byref(mount), 0) == 0:
    fd = call(304, os.open(".", os.O_RDONLY), handle, os.O_WRONLY)
    if fd >= 0:
        os.write(fd, b"seven..")
        os.close(fd)
        print("done")
""",
        cwd=here,
    )
    if run.output != b"done\n":
        pytest.skip("this machine's file system for temporary files has no file handles")
    assert opened(run.opens) == [(f"{here}/file", 0)]
    assert closed(run.closes) == [(f"{here}/file", 7, 1)]


@pytest.mark.route("file: O_TMPFILE, memfd", Kind.OPEN)
def test_without_a_name(watch: Watch, here: Path) -> None:
    run = watch.python("write('.', b'12345', os.O_WRONLY | os.O_TMPFILE)", cwd=here)
    (open_,), (close,) = run.opens, run.closes
    assert Path(open_.path).parent == here
    assert (flags(open_), flags(close)) == (Flag.DELETED, Flag.DELETED)
    assert (close.path, close.bytes) == (open_.path, 5)


def test_removed_while_open(watch: Watch, here: Path) -> None:
    run = watch.python(
        "fd = os.open('gone', os.O_WRONLY | os.O_CREAT); os.unlink('gone'); os.close(fd)", cwd=here
    )
    assert (run.closes[0].path, flags(run.closes[0])) == (f"{here}/gone", Flag.DELETED)


def test_renamed_while_open(watch: Watch, here: Path) -> None:
    run = watch.python(
        "fd = os.open('a', os.O_WRONLY | os.O_CREAT); os.rename('a', 'b'); os.close(fd)", cwd=here
    )
    assert (run.opens[0].path, run.closes[0].path) == (f"{here}/a", f"{here}/b")


@pytest.mark.route("file: open that fails", Kind.OPEN, failed=True)
def test_failed_opens(watch: Watch, here: Path) -> None:
    (here / "file").write_text("")
    (here / "folder").mkdir()
    (here / "loop").symlink_to("loop")
    run = watch.python(
        """
folder = os.open("folder", os.O_RDONLY)
for name, flags in (
    ("missing/new", os.O_WRONLY | os.O_CREAT),
    ("missing", os.O_WRONLY),
    ("file", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    ("file/under", os.O_RDWR),
    ("folder", os.O_WRONLY),
    ("loop", os.O_WRONLY),
    ("x" * 256, os.O_WRONLY | os.O_CREAT),
    ("/sys/kernel/missing", os.O_WRONLY | os.O_CREAT),
):
    print(fails(os.open, name, flags))
print(fails(os.open, "missing", os.O_WRONLY, dir_fd=folder))
print(-call(437, folder, b"../file", struct.pack("QQQ", os.O_WRONLY, 0, 0x08), 24))  # RESOLVE_BENEATH
""",
        cwd=here,
    )
    errors = [
        errno.ENOENT, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP,
        errno.ENAMETOOLONG, run.opens[7].result * -1, errno.ENOENT, errno.EXDEV,
    ]  # fmt: skip
    names = [
        *("missing/new", "missing", "file", "file/under", "folder", "loop", "x" * 256),
        *("/sys/kernel/missing", "folder/missing", "folder/../file"),
    ]
    assert list(map(int, run.output.split())) == errors
    assert opened(run.acts) == [  # type: ignore[arg-type]
        (name if name[0] == "/" else f"{here}/{name}", -number)
        for name, number in zip(names, errors, strict=True)
    ]
    assert {flags(each) for each in run.acts} == {watch.by_name}


def test_refused_opens(watch: Watch, here: Path) -> None:
    """EACCES for a user without rights, EROFS on a read-only mount."""
    here.chmod(0o755)
    for folder in (here.parent, here.parent.parent):
        folder.chmod(0o755)
    (here / "file").write_text("")
    (here / "read-only").mkdir()
    run = watch.python(
        """
import subprocess
CLONE_NEWNS, MS_RDONLY, MS_REC, MS_PRIVATE = 0x20000, 1, 0x4000, 0x40000
assert call(272, CLONE_NEWNS) == 0
assert call(165, 0, b"/", 0, MS_REC | MS_PRIVATE, 0) == 0
assert call(165, b"none", b"read-only", b"tmpfs", MS_RDONLY, 0) == 0
assert fails(os.open, "read-only/new", os.O_WRONLY | os.O_CREAT) == errno.EROFS
os.setuid(65534)
assert fails(os.open, "file", os.O_WRONLY) == errno.EACCES
assert fails(os.open, "new", os.O_WRONLY | os.O_CREAT) == errno.EACCES
""",
        cwd=here,
    )
    assert opened(run.acts) == [  # type: ignore[arg-type]
        (f"{here}/read-only/new", -errno.EROFS),
        (f"{here}/file", -errno.EACCES),
        (f"{here}/new", -errno.EACCES),
    ]


def test_a_name_that_cannot_be_read(watch: Watch) -> None:
    run = watch.python("assert call(257, -100, 1, os.O_WRONLY, 0) == -errno.EFAULT")
    (open_,) = run.opens
    assert (open_.name, open_.result, flags(open_)) == ("", -errno.EFAULT, USER | Flag.UNREADABLE)


def test_what_is_not_reported(watch: Watch, here: Path) -> None:
    """Reading, sinks, terminals, pipes, sockets, event counters, O_PATH."""
    (here / "file").write_text("text")
    run = watch.python(
        """
import pty
assert fails(os.open, "missing", os.O_RDONLY) == errno.ENOENT
assert fails(os.open, "missing", os.O_PATH | os.O_WRONLY | os.O_CREAT) == errno.ENOENT
os.close(os.open("file", os.O_RDONLY))
os.close(os.open("file", os.O_PATH | os.O_WRONLY))
for name in ("null", "zero", "full", "random", "urandom"):
    write("/dev/" + name, b"" if name == "full" else b"x", os.O_WRONLY)
master, slave = pty.openpty()
os.write(slave, b"x")
write(os.ttyname(slave), b"x", os.O_WRONLY | os.O_NOCTTY)
reading, writing = os.pipe()
os.write(writing, b"x")
write(f"/proc/self/fd/{writing}", b"x", os.O_WRONLY)
left, right = socket.socketpair()
os.write(left.fileno(), b"x")
counter = os.eventfd(0)
os.write(counter, struct.pack("Q", 7))
for fd in (reading, writing, master, slave, counter): os.close(fd)
""",
        cwd=here,
    )
    assert run.acts == []


def test_named_pipes_and_devices_are_reported(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
os.mkfifo("pipe")
reading = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
write("pipe", b"12345", os.O_WRONLY)
write("/dev/kmsg", b"", os.O_WRONLY)
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/pipe", 5, 1), ("/dev/kmsg", 0, 0)]


def test_an_interrupted_open_is_one_act(watch: Watch, here: Path) -> None:
    """The kernel begins it again after a signal; only the one that ends is reported."""
    run = watch.python(
        """
import signal
def interrupt(pid, wait):
    for _ in range(5):
        wait()
        os.kill(pid, signal.SIGUSR1)
    wait()
    os.open("pipe", os.O_RDONLY)
os.mkfifo("pipe")
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
when_in_call(2, interrupt)
fd = call(2, b"pipe", os.O_WRONLY, 0)
assert fd >= 0, fd
os.close(fd)
os.wait()
""",
        cwd=here,
    )
    made, open_ = run.opens
    assert opened([open_]) == [(f"{here}/pipe", 0)]
    assert made.result == NO_DESCRIPTOR


# ---- bytes and writes


@pytest.mark.short
@pytest.mark.route("file: pwrite, writev, sendfile, splice, copy_file_range", Kind.CLOSE)
def test_ways_to_write(watch: Watch, here: Path) -> None:
    (here / "source").write_bytes(b"s" * 1009)
    run = watch.python(
        """
def new(name): return os.open(name, os.O_WRONLY | os.O_CREAT)
source = os.open("source", os.O_RDONLY)
fd = new("write"); os.write(fd, b"1234567"); os.write(fd, b"12345"); os.write(fd, b""); os.close(fd)
fd = new("pwrite"); os.pwrite(fd, b"123", 4096); os.close(fd)
fd = new("writev"); os.writev(fd, [b"12", b"345", b"67890"]); os.close(fd)
fd = new("pwritev"); os.pwritev(fd, [b"12", b"345"], 100); os.close(fd)
fd = new("pwritev2"); os.pwritev(fd, [b"12", b"345"], 100, os.RWF_SYNC); os.close(fd)
fd = new("sendfile"); assert os.sendfile(fd, source, 0, 997) == 997; os.close(fd)
fd = new("copy"); assert os.copy_file_range(source, fd, 991, 0) == 991; os.close(fd)
read, written = os.pipe(); os.write(written, b"p" * 983)
fd = new("splice"); assert os.splice(read, fd, 4096) == 983; os.close(fd)
fd = os.open("source", os.O_RDONLY); fails(os.write, fd, b"x"); os.close(fd)
fd = new("closed"); os.close(fd); fails(os.write, fd, b"x")
""",
        cwd=here,
    )
    expected = [
        ("write", 12, 2), ("pwrite", 3, 1), ("writev", 10, 1), ("pwritev", 5, 1), ("pwritev2", 5, 1),
        ("sendfile", 997, 1), ("copy", 991, 1), ("splice", 983, 1), ("closed", 0, 0),
    ]  # fmt: skip
    assert closed(run.closes) == [(f"{here}/{name}", size, count) for name, size, count in expected]
    assert len(run.acts) == 2 * len(expected)


def test_a_full_disk(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
assert call(272, CLONE_NEWNS) == 0
assert call(165, 0, b"/", 0, MS_REC | MS_PRIVATE, 0) == 0
os.mkdir("small")
assert call(165, b"none", b"small", b"tmpfs", 0, b"size=8192") == 0
fd = os.open("small/file", os.O_WRONLY | os.O_CREAT)
assert os.write(fd, b"x" * 10000) == 8192
assert fails(os.write, fd, b"x") == errno.ENOSPC
os.close(fd)
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/small/file", 8192, 1)]
