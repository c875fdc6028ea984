"""file.bpf.c: a written file is closed once, when the last that holds it lets go."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers
from tests.kernel.watching import Gated, Watch, closed, flags, python
from tracer.capture import Wanted
from tracer.records import CloseRecord, Flag, Kind, OpenRecord

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE


@pytest.mark.short
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


@pytest.mark.short
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


def test_closed_by_exec(watch: Watch, here: Path) -> None:
    run = watch.python(
        "os.write(os.open('file', os.O_WRONLY | os.O_CREAT), b'12345')\nos.execv('/bin/true', ['true'])",
        cwd=here,
    )
    (close,) = run.closes
    found = ("/", Flag.LATE) if watch.source.tier == "B" else (f"{here}/file", Flag(0))
    assert (close.path, close.bytes, close.writes, flags(close)) == (found[0], 5, 1, found[1])
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
    assert (close.inode, close.bytes, flags(close)) == (
        run.opens[0].inode,
        4096,
        Flag.LATE | Flag.MAPPED,
    )


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


@pytest.mark.route("file: open before the watch began, at its first write", Kind.OPEN)
def test_opened_before_the_watch(watch: Watch, here: Path) -> None:
    """The first write reports it; what is never written to is not reported."""
    with open(here / "out", "wb") as out, open(here / "unused", "wb") as unused:
        run = watch.shell("echo 1234; echo 56", stdout=out, pass_fds=[unused.fileno()])
    assert [(each.path, each.result, each.created, each.flags) for each in run.opens] == [
        (f"{here}/out", 1, 0, Flag.INHERITED)
    ]
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
