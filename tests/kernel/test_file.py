"""file.bpf.c and path.h: files opened for writing, closed, and their names and attributes changed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers
from tests.kernel.watching import Gated, Watch, closed, flags, opened, python, where, where_to
from tracer.capture import Wanted
from tracer.records import CloseRecord, Flag, Kind, OpenRecord

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE


# ---- open, write, close


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
    assert {flags(each) for each in run.acts} == {USER}


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
    assert opened(run.opens) == [(f"{here}/pipe", 0)]


# ---- bytes and writes


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


# ---- who holds a file


def test_duplicates_close_once(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
fd = os.open("dup", os.O_WRONLY | os.O_CREAT)
copies = [os.dup(fd) for _ in range(5)]
os.close(fd)
for each in copies:
    os.write(each, b"x")
    os.close(each)
fd, other = os.open("a", os.O_WRONLY | os.O_CREAT), os.open("b", os.O_WRONLY | os.O_CREAT)
os.dup2(fd, other)       # closes b
os.dup2(fd, fd)          # closes nothing
fails(os.dup2, 999, fd)  # nor does this
os.close(fd)
os.close(other)
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/dup", 5, 5), (f"{here}/b", 0, 0), (f"{here}/a", 0, 0)]


def test_children_hold_what_they_inherit(watch: Watch, here: Path) -> None:
    """The last of seven processes to let go closes the file, and is named."""
    run = watch.python(
        """
fd = os.open("shared", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
gates, pids = [], []
for i in range(7):
    gate, opens = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(gate, 1)
        os.write(fd, b"x")
        os._exit(0)
    gates.append(opens)
    pids.append(pid)
os.close(fd)
for opens, pid in zip(gates, pids):
    os.write(opens, b"x")
    os.waitpid(pid, 0)
print(pids[-1])
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/shared", 7, 7)]
    assert (run.closes[0].pid, flags(run.closes[0])) == (int(run.output), KERNEL)


def test_close_range(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
CLOEXEC, UNSHARE = 4, 2
fds = [os.open(f"f{i}", os.O_WRONLY | os.O_CREAT) for i in range(7)]
assert call(436, fds[0], fds[6], CLOEXEC) == 0
assert call(436, fds[2], fds[4], 0) == 0
assert call(436, fds[6], fds[5], 0) == -errno.EINVAL
assert call(436, fds[5], 0xffffffff, UNSHARE) == 0
os.close(fds[0])
""",
        cwd=here,
    )
    assert [each.path for each in run.closes] == [f"{here}/f{i}" for i in (2, 3, 4, 5, 6, 0, 1)]
    assert {flags(each) for each in run.closes} == {KERNEL}


def test_a_thread_that_unshares_closes_only_its_copy(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
import threading
fd = os.open("file", os.O_WRONLY | os.O_CREAT)
thread = threading.Thread(target=call, args=(436, fd, fd, 2))
thread.start()
thread.join()
os.write(fd, b"123")
os.close(fd)
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/file", 3, 1)]
    assert len(run.opens) == 1


def test_left_open_at_exit(watch: Watch, here: Path) -> None:
    run = watch.python(
        "fds = [os.open(f'f{i}', os.O_WRONLY | os.O_CREAT) for i in range(13)]\n"
        "for fd in fds: os.write(fd, b'x' * fd)\nprint(*fds)",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/f{i}", int(fd), 1) for i, fd in enumerate(run.output.split())]
    assert {flags(each) for each in run.closes} == {KERNEL}


def test_emptied_by_opening_it_for_reading(watch: Watch, here: Path) -> None:
    (here / "file").write_text("text")
    run = watch.python("os.close(os.open('file', os.O_RDONLY | os.O_TRUNC))", cwd=here)
    (open_,) = run.acts
    assert isinstance(open_, OpenRecord)
    assert (open_.path, open_.open_flags & os.O_TRUNC) == (f"{here}/file", os.O_TRUNC)
    assert (here / "file").read_text() == ""


def test_all_of_a_large_table_is_let_go(watch: Watch, here: Path) -> None:
    """The table of descriptors is a bitmap of words of 64."""
    numbers = [63, 64, 65, 127, 128, 700, 1000]
    run = watch.python(
        """
numbers = [int(each) for each in args]
for number in numbers:
    fd = os.open(f"f{number}", os.O_WRONLY | os.O_CREAT)
    os.dup2(fd, number)
    os.close(fd)
assert call(436, 64, 127, 0) == 0
""",
        *map(str, numbers),
        cwd=here,
    )
    assert [each.path for each in run.closes] == [
        f"{here}/f{number}" for number in (64, 65, 127, 63, 128, 700, 1000)
    ]
    assert {flags(each) for each in run.closes} == {KERNEL}


def test_left_open_by_a_killed_process(watch: Watch, here: Path) -> None:
    run = watch.shell("exec 3>file; echo text >&3; kill -9 $$", cwd=here)
    assert run.status == -9
    assert closed(run.closes) == [(f"{here}/file", 5, 1)]


def test_closed_by_exec_is_found_by_the_sweep(watch: Watch, here: Path) -> None:
    run = watch.python(
        "os.write(os.open('file', os.O_WRONLY | os.O_CREAT), b'12345')\nos.execv('/bin/true', ['true'])",
        cwd=here,
    )
    (close,) = run.closes
    assert (close.path, close.bytes, close.writes, flags(close)) == ("/", 5, 1, Flag.LATE)
    assert (close.inode, close.pid, close.start_ns) == (
        run.opens[0].inode,
        run.pid,
        run.opens[0].start_ns,
    )


def test_held_by_a_mapping(watch: Watch, here: Path) -> None:
    """The descriptor is closed first, the file when the mapping goes: the sweep finds it."""
    run = watch.python(
        """
import mmap
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.write(fd, b"x" * 4096)
memory = mmap.mmap(fd, 4096)
os.close(fd)
""",
        cwd=here,
    )
    (close,) = run.closes
    assert (close.inode, close.bytes, flags(close)) == (run.opens[0].inode, 4096, Flag.LATE)


def test_the_sweep_leaves_open_files_alone(watch: Watch, triggers: Triggers, here: Path) -> None:
    reading, writing = os.pipe()
    code = """
fds = [os.open(f"f{i}", os.O_WRONLY | os.O_CREAT) for i in range(11)]
for fd in fds: os.write(fd, b"x")
os.write(int(args[0]), b"written")
os.close(int(args[0]))
sys.stdin.read()
for fd in fds: os.close(fd)
"""
    with os.fdopen(reading, "rb") as written:
        gated = Gated(
            triggers("gate"),
            [*python(code), str(writing)],
            cwd=here,
            stdin=subprocess.PIPE,
            pass_fds=[writing],
        )
        try:
            os.close(writing)
            watch.source.add_process(Wanted(gated.pid, silent=True), watch.scope)
            gated.open()
            assert written.read() == b"written"
            before = watch.records()
            gated.finish()
        finally:
            gated.end()
    assert [each.kind for each in before] == [Kind.EXEC, *[Kind.OPEN] * 11]
    closes = [each for each in watch.records() if isinstance(each, CloseRecord)]
    assert closed(closes) == [(f"{here}/f{i}", 1, 1) for i in range(11)]
    assert {flags(each) for each in closes} == {KERNEL}


def test_threads_that_exit_at_once_with_files_open(watch: Watch, here: Path) -> None:
    run = watch.trigger("threads", "files", here / "f", "7")
    assert run.status == 0
    assert {each.path for each in run.opens} == {f"{here}/f{i}" for i in range(7)}
    assert len(run.opens) == len(run.closes) == 7
    assert {each.inode for each in run.closes} == {each.inode for each in run.opens}
    assert [(each.bytes, each.writes) for each in run.closes] == [(5, 1)] * 7


def test_opened_before_the_watch(watch: Watch, here: Path) -> None:
    """The first write reports it; what is never written to is not reported."""
    with open(here / "out", "wb") as out, open(here / "unused", "wb") as unused:
        run = watch.shell("echo 1234; echo 56", stdout=out, pass_fds=[unused.fileno()])
    assert [(each.path, each.result, each.created) for each in run.opens] == [(f"{here}/out", 1, 0)]
    assert run.closes == []  # the test itself still held it


def test_a_stale_address_is_not_mixed_up(watch: Watch, here: Path) -> None:
    """Struct files are used again at once; a close that went unseen lends nothing to the next file."""
    run = watch.python(
        """
for i in range(29):
    fd = os.open(f"f{i}", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x" * (i + 1))
    if os.fork() == 0:
        os.execv("/bin/true", ["true"])
    os.close(fd)     # the child may hold it still, and then closes it by its exec
    os.wait()
""",
        cwd=here,
    )
    inodes = {each.inode: i for i, each in enumerate(run.opens)}
    assert len(run.opens) == len(run.closes) == 29
    assert sorted((inodes[each.inode], each.bytes) for each in run.closes) == [(i, i + 1) for i in range(29)]


# ---- paths


def test_hostile_names(watch: Watch, here: Path) -> None:
    names = [
        b"new\nline",
        b"\x1b[2J\x1b[1;1H",
        b"\xff\xfe\x80",
        b"tab\t",
        b" ",
        "\u202egnp.exe".encode(),
        b"\\",
    ]
    run = watch.python("for each in sys.argv[1:]: write(each); os.unlink(each)", *names, cwd=here)
    expected = [os.fsdecode(os.fsencode(here) + b"/" + each) for each in names]
    assert [each.path for each in run.opens] == expected
    assert [each.path for each in run.closes] == expected
    assert [where(each) for each in run.paths()] == expected


def test_symlinks_are_followed(watch: Watch, here: Path) -> None:
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    (here / "real/target").symlink_to("file")
    run = watch.python("write('link/target', b'x')", cwd=here)
    assert opened(run.opens) == [(f"{here}/real/file", 0)]
    assert closed(run.closes) == [(f"{here}/real/file", 1, 1)]


def test_chroot(watch: Watch, here: Path) -> None:
    (here / "jail/etc").mkdir(parents=True)
    run = watch.python(
        """
os.chroot("jail"); os.chdir("/")
write("/etc/passwd", b"x")
os.rename("/etc/passwd", "etc/shadow")
assert fails(os.open, "/missing/x", os.O_WRONLY) == errno.ENOENT
assert fails(os.unlink, "/missing") == errno.ENOENT
assert fails(os.execv, "/bin/true", ["true"]) == errno.ENOENT
""",
        cwd=here,
    )
    jail = f"{here}/jail"
    assert [where(each) for each in run.opens] == [f"{jail}/etc/passwd", f"{jail}/missing/x"]
    rename, unlink = run.paths()
    assert (where(rename), where_to(rename)) == (f"{jail}/etc/passwd", f"{jail}/etc/shadow")
    assert where(unlink) == f"{jail}/missing"
    assert where(run.failed_execs[0]) == f"{jail}/bin/true"


MOUNTS = """
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 0x4000, 0x40000
assert call(272, CLONE_NEWNS) == 0
assert call(165, 0, b"/", 0, MS_REC | MS_PRIVATE, 0) == 0
"""


def test_bind_mount(watch: Watch, here: Path) -> None:
    (here / "real/sub").mkdir(parents=True)
    (here / "bound").mkdir()
    run = watch.python(
        MOUNTS + "assert call(165, b'real', b'bound', 0, MS_BIND, 0) == 0\nwrite('bound/sub/file', b'x')",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}/bound/sub/file", 1, 1)]


def test_mounts_on_mounts(watch: Watch, here: Path) -> None:
    (here / "m").mkdir()
    run = watch.python(
        MOUNTS
        + """
path = b"m"
for i in range(11):
    assert call(165, b"none", path, b"tmpfs", 0, 0) == 0
    path += b"/m"
    os.mkdir(path)
write(path + b"/file")
""",
        cwd=here,
    )
    assert closed(run.closes) == [(f"{here}{'/m' * 12}/file", 0, 0)]


def test_overlayfs(watch: Watch, here: Path) -> None:
    """A file copied up is named, and numbered, as who uses the overlay sees it."""
    for name in ("lower", "upper", "work", "merged"):
        (here / name).mkdir()
    (here / "lower/old").write_text("old")
    run = watch.python(
        MOUNTS
        + """
if call(165, b"overlay", b"merged", b"overlay", 0, b"lowerdir=lower,upperdir=upper,workdir=work") == 0:
    write("merged/old", b"12345", os.O_WRONLY)
    write("merged/new", b"123")
    os.unlink("merged/old")
    print(os.stat("merged/new").st_ino)
""",
        cwd=here,
    )
    if not run.output:
        pytest.skip("this kernel has no overlayfs")
    assert closed(run.closes) == [(f"{here}/merged/old", 5, 1), (f"{here}/merged/new", 3, 1)]
    assert [each.created for each in run.opens] == [0, 1]
    assert [where(each) for each in run.paths()] == [f"{here}/merged/old"]
    assert run.opens[1].inode == int(run.output)


DEEP = """
depth, name = int(args[0]), args[1]
for i in range(depth):
    os.mkdir("d" * 199)
    os.chdir("d" * 199)
write(name, b"x")
"""


@pytest.mark.parametrize("total", [4095, 4096])
def test_a_path_that_just_fits(watch: Watch, here: Path, total: int) -> None:
    depth, rest = divmod(total - len(str(here)), 200)
    if rest < 2:
        depth, rest = depth - 1, rest + 200
    name = "n" * (rest - 1)
    run = watch.python(DEEP, str(depth), name, cwd=here)
    expected = f"{here}{('/' + 'd' * 199) * depth}/{name}"
    assert len(expected) == total
    assert closed(run.closes) == [(expected, 1, 1)]
    assert {flags(each) for each in run.acts if isinstance(each, OpenRecord | CloseRecord)} == {KERNEL}


def test_a_path_that_is_too_long(watch: Watch, here: Path) -> None:
    """The names nearest to the file stay; the true length is told; nothing is left out in the middle."""
    run = watch.python(DEEP, "23", "name", cwd=here)
    length = len(f"{here}{('/' + 'd' * 199) * 23}/name")
    (open_,), (close,) = run.opens, run.closes
    for record in (open_, close):
        assert record.path == f"{'d' * 199}/" * 20 + "name"
        assert (flags(record), record.cut_bytes) == (Flag.PATH_CUT, length)


def test_a_name_that_is_too_long(watch: Watch, here: Path) -> None:
    run = watch.python(
        "assert fails(os.open, './' * 2047 + 'x', os.O_WRONLY) == errno.ENOENT\n"
        "assert fails(os.open, './' * 2048 + 'x', os.O_WRONLY) == errno.ENAMETOOLONG",
        cwd=here,
    )
    fits, cut = run.opens
    assert (fits.name, flags(fits)) == ("./" * 2047 + "x", USER)
    assert (cut.name, flags(cut)) == (("./" * 2048)[:4095], USER | Flag.NAME_CUT)


# ---- names and attributes


def test_rename(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
NOREPLACE, EXCHANGE = 1, 2
for name in "abcd": write(name)
os.mkdir("sub")
folder = os.open("sub", os.O_RDONLY)
os.rename("a", "e")
os.rename("b", "moved", dst_dir_fd=folder)
os.rename("moved", "back", src_dir_fd=folder, dst_dir_fd=folder)
assert call(316, -100, b"c", -100, b"d", EXCHANGE) == 0
assert call(316, -100, b"c", -100, b"d", NOREPLACE) == -errno.EEXIST
assert fails(os.rename, "missing", "other") == errno.ENOENT
assert fails(os.rename, "sub", "sub/inside") == errno.EINVAL
""",
        cwd=here,
    )
    assert [(where(each), where_to(each), each.result) for each in run.paths(Kind.RENAME)] == [
        (f"{here}/a", f"{here}/e", 0),
        (f"{here}/b", f"{here}/sub/moved", 0),
        (f"{here}/sub/moved", f"{here}/sub/back", 0),
        (f"{here}/c", f"{here}/d", 0),
        (f"{here}/c", f"{here}/d", -errno.EEXIST),
        (f"{here}/missing", f"{here}/other", -errno.ENOENT),
        (f"{here}/sub", f"{here}/sub/inside", -errno.EINVAL),
    ]
    assert {flags(each) for each in run.paths()} == {USER}
    assert len(run.paths()) == 8  # and the mkdir


def test_unlink_and_rmdir(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
os.mkdir("sub"); os.mkdir("empty"); os.mkdir("other")
for name in ("a", "b", "sub/c"): write(name)
folder = os.open("sub", os.O_RDONLY)
os.unlink("a")
os.unlink(os.getcwd() + "/b")
assert fails(os.rmdir, "sub") == errno.ENOTEMPTY
os.unlink("c", dir_fd=folder)
os.rmdir("empty")
os.rmdir("../other", dir_fd=folder)
assert fails(os.unlink, "a") == errno.ENOENT
assert fails(os.unlink, "sub") == errno.EISDIR
assert fails(os.rmdir, "missing") == errno.ENOENT
""",
        cwd=here,
    )
    acts = [each for each in run.paths() if each.kind != Kind.MKDIR]
    assert [(each.kind, where(each), each.result) for each in acts] == [
        (Kind.UNLINK, f"{here}/a", 0),
        (Kind.UNLINK, f"{here}/b", 0),
        (Kind.RMDIR, f"{here}/sub", -errno.ENOTEMPTY),
        (Kind.UNLINK, f"{here}/sub/c", 0),
        (Kind.RMDIR, f"{here}/empty", 0),
        (Kind.RMDIR, f"{here}/sub/../other", 0),
        (Kind.UNLINK, f"{here}/a", -errno.ENOENT),
        (Kind.UNLINK, f"{here}/sub", -errno.EISDIR),
        (Kind.RMDIR, f"{here}/missing", -errno.ENOENT),
    ]


def test_mkdir(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
os.mkdir("a", 0o750)
os.mkdir("b", 0o1777, dir_fd=os.open("a", os.O_RDONLY))
assert fails(os.mkdir, "a") == errno.EEXIST
assert fails(os.mkdir, "missing/c") == errno.ENOENT
""",
        cwd=here,
    )
    assert [(each.kind, where(each), each.value, each.result) for each in run.paths()] == [
        (Kind.MKDIR, f"{here}/a", 0o750, 0),
        (Kind.MKDIR, f"{here}/a/b", 0o1777, 0),
        (Kind.MKDIR, f"{here}/a", 0o777, -errno.EEXIST),
        (Kind.MKDIR, f"{here}/missing/c", 0o777, -errno.ENOENT),
    ]


def test_links(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
os.mkdir("sub"); write("a")
folder = os.open("sub", os.O_RDONLY)
os.link("a", "b")
os.link("a", "c", dst_dir_fd=folder)
assert fails(os.link, "a", "b") == errno.EEXIST
os.symlink("a", "s")
os.symlink("/no/such/target\\n", "t", dir_fd=folder)
assert fails(os.symlink, "x", "s") == errno.EEXIST
""",
        cwd=here,
    )
    assert [(where(each), where_to(each), each.result) for each in run.paths(Kind.LINK)] == [
        (f"{here}/a", f"{here}/b", 0),
        (f"{here}/a", f"{here}/sub/c", 0),
        (f"{here}/a", f"{here}/b", -errno.EEXIST),
    ]
    assert [(where(each), each.name2, each.result) for each in run.paths(Kind.SYMLINK)] == [
        (f"{here}/s", "a", 0),
        (f"{here}/sub/t", "/no/such/target\n", 0),
        (f"{here}/s", "x", -errno.EEXIST),
    ]


def test_truncate(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
write("a", b"12345")
os.truncate("a", 3)
fd = os.open("a", os.O_WRONLY)
os.ftruncate(fd, 1 << 33)
os.close(fd)
fd = os.open("a", os.O_RDONLY)
assert fails(os.ftruncate, fd, 0) == errno.EINVAL
assert fails(os.truncate, "missing", 7) == errno.ENOENT
assert fails(os.ftruncate, 999, 7) == errno.EBADF
""",
        cwd=here,
    )
    assert [(where(each), each.value, each.result, flags(each)) for each in run.paths()] == [
        (f"{here}/a", 3, 0, USER),
        (f"{here}/a", 1 << 33, 0, KERNEL),
        (f"{here}/a", 0, -errno.EINVAL, KERNEL),
        (f"{here}/missing", 7, -errno.ENOENT, USER),
    ]


def test_chmod(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
AT_EMPTY_PATH = 0x1000
write("a")
here, fd = os.open(".", os.O_RDONLY), os.open("a", os.O_RDONLY)
os.chmod("a", 0o4755)
os.fchmod(fd, 0o600)
os.chmod("a", 0o640, dir_fd=here)
has_fchmodat2 = call(452, here, b"a", 0o644, 0) != -errno.ENOSYS
if has_fchmodat2:
    call(452, fd, b"", 0o604, AT_EMPTY_PATH)
assert fails(os.chmod, "missing", 0o777) == errno.ENOENT
assert fails(os.fchmod, 999, 0o777) == errno.EBADF
print(has_fchmodat2)
""",
        cwd=here,
    )
    newer = [(f"{here}/a", 0o644, 0, USER), (f"{here}/a", 0o604, 0, KERNEL)]
    if run.output != b"True\n":
        newer = [(f"{here}/a", 0o644, -errno.ENOSYS, USER)]
    assert {each.kind for each in run.paths()} == {Kind.CHMOD}
    assert [(where(each), each.value, each.result, flags(each)) for each in run.paths()] == [
        (f"{here}/a", 0o4755, 0, USER),
        (f"{here}/a", 0o600, 0, KERNEL),
        (f"{here}/a", 0o640, 0, USER),
        *newer,
        (f"{here}/missing", 0o777, -errno.ENOENT, USER),
    ]


def test_chown(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
AT_EMPTY_PATH = 0x1000
write("a"); os.symlink("a", "s"); os.mkdir("sub")
here, fd = os.open(".", os.O_RDONLY), os.open("a", os.O_RDONLY)
os.chown("a", 7, 11)
os.lchown("s", 7, 11)
os.fchown(fd, 13, 0xffffffff)
os.chown("a", -1, 17, dir_fd=here)
os.chdir("sub")
assert call(260, fd, b"", 19, 23, AT_EMPTY_PATH) == 0
assert call(260, -100, b"", 19, 23, AT_EMPTY_PATH) == 0
assert fails(os.chown, "missing", 1, 1) == errno.ENOENT
os.setuid(65534)
assert fails(os.fchown, fd, 0, 0) == errno.EPERM
""",
        cwd=here,
    )
    acts = run.paths(Kind.CHOWN)
    none = 0xFFFFFFFF
    assert [(where(each), each.value, each.value2, each.result) for each in acts] == [
        (f"{here}/a", 7, 11, 0),
        (f"{here}/s", 7, 11, 0),
        (f"{here}/a", 13, none, 0),
        (f"{here}/a", none, 17, 0),
        (f"{here}/a", 19, 23, 0),
        (f"{here}/sub", 19, 23, 0),
        (f"{here}/sub/missing", 1, 1, -errno.ENOENT),
        (f"{here}/a", 0, 0, -errno.EPERM),
    ]
    assert [flags(each) for each in acts] == [USER, USER, KERNEL, USER, KERNEL, USER, USER, KERNEL]
