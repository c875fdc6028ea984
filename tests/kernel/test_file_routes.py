"""file.bpf.c: writes without write(2), and files that came from elsewhere."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, closed, flags, opened
from tracer.records import NO_DESCRIPTOR, Flag, Kind

KERNEL, USER, INHERITED, MAPPED = Flag(0), Flag.USER_EVIDENCE, Flag.INHERITED, Flag.MAPPED
MAP = """
import mmap
def new(name, flags=os.O_RDWR | os.O_CREAT):
    fd = os.open(name, flags)
    os.truncate(fd, 4096)
    return fd
"""


@pytest.mark.route("file: fallocate", Kind.CLOSE)
def test_allocation_is_a_write_of_no_bytes(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
PUNCH, KEEP_SIZE = 2, 1
fd = os.open("file", os.O_RDWR | os.O_CREAT)
for i in range(7): assert call(285, fd, 0, 0, 100 + i) == 0
assert call(285, fd, PUNCH | KEEP_SIZE, 0, 50) == 0
assert call(285, fd, 0, 0, 0) == -errno.EINVAL
os.close(fd)
assert call(285, 999, 0, 0, 1) == -errno.EBADF
""",
        cwd=here,
    )
    assert opened(run.opens) == [(f"{here}/file", 0)]
    assert closed(run.closes) == [(f"{here}/file", 0, 8)]
    assert len(run.acts) == 2


def test_allocation_in_a_file_from_before(watch: Watch, here: Path) -> None:
    with open(here / "file", "wb") as file:
        run = watch.python(
            "assert call(285, int(args[0]), 0, 0, 9) == 0", str(file.fileno()), pass_fds=[file.fileno()]
        )
    assert [(each.path, flags(each)) for each in run.acts if each in run.opens] == [
        (f"{here}/file", INHERITED)
    ]


@pytest.mark.short
@pytest.mark.route("file: written through a shared mapping", Kind.CLOSE)
def test_shared_mappings(watch: Watch, here: Path) -> None:
    """Its bytes are not counted, and the close says so; a private or a read-only one changes no file."""
    run = watch.python(
        MAP
        + """
fds = [new(f"shared{i}") for i in range(5)]
maps = [mmap.mmap(fd, 4096) for fd in fds]
for each in maps:
    each[0] = 1
    each.close()
private = new("private")
mmap.mmap(private, 4096, mmap.MAP_PRIVATE).close()
mmap.mmap(-1, 4096).close()
reading = os.open("private", os.O_RDONLY)
mmap.mmap(reading, 4096, prot=mmap.PROT_READ).close()
fails(mmap.mmap, reading, 4096)
for fd in (*fds, private, reading): os.close(fd)
""",
        cwd=here,
    )
    assert [(each.path, flags(each)) for each in run.closes] == [
        *((f"{here}/shared{i}", MAPPED) for i in range(5)),
        (f"{here}/private", KERNEL),
    ]
    assert {(each.bytes, each.writes) for each in run.closes} == {(0, 0)}
    assert len(run.opens) == 6


def test_a_mapping_of_a_file_from_before(watch: Watch, here: Path) -> None:
    """Made for reading, it can be made to be written with mprotect(2), so it counts like a first write."""
    with open(here / "file", "wb+") as file:
        file.truncate(4096)
        number = file.fileno()
        run = watch.python(
            "import mmap\nfor _ in range(3): mmap.mmap(int(args[0]), 4096, prot=mmap.PROT_READ).close()",
            str(number),
            pass_fds=[number],
        )
    assert [(each.path, each.result, flags(each)) for each in run.opens] == [
        (f"{here}/file", number, INHERITED)
    ]
    assert len(run.acts) == 1


@pytest.mark.short
@pytest.mark.route("file: received in a message (SCM_RIGHTS)", Kind.OPEN)
def test_files_by_message(watch: Watch, here: Path) -> None:
    """Opened by a stranger, received by SCM_RIGHTS, and written to."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        files = [open(here / f"f{i}", "wb") for i in range(5)]  # noqa: SIM115
        socket.send_fds(ours, [b"x"], [each.fileno() for each in files])
        run = watch.python(
            """
got = socket.recv_fds(socket.socket(fileno=int(args[0])), 1, 5)[1]
for fd in got[:3]:
    os.write(fd, b"12")
    os.write(fd, b"345")
""",
            str(theirs.fileno()),
            pass_fds=[theirs.fileno()],
        )
        for each in files:
            each.close()
    assert [(each.path, flags(each)) for each in run.opens] == [(f"{here}/f{i}", INHERITED) for i in range(3)]
    assert len(run.acts) == len(run.opens) + len(run.closes)


@pytest.mark.route("file: taken with pidfd_getfd", Kind.OPEN)
def test_files_taken_from_another_process(watch: Watch, here: Path) -> None:
    with open(here / "file", "wb") as file:
        run = watch.python(
            """
other = call(434, int(args[0]), 0)                 # pidfd_open
if other < 0: sys.exit(0)
fd = call(438, other, int(args[1]), 0)             # pidfd_getfd
print(fd)
if fd >= 0:
    for _ in range(11): os.write(fd, b"7 bytes")
""",
            str(os.getpid()),
            str(file.fileno()),
        )
        if not run.output or int(run.output) < 0:
            pytest.skip(f"this kernel has no pidfd_getfd, or refuses it: {run.output!r}")
        assert [(each.path, each.result, flags(each)) for each in run.opens] == [
            (f"{here}/file", int(run.output), INHERITED)
        ]
    assert (here / "file").stat().st_size == 77


@pytest.mark.route("name: mknod", Kind.OPEN)
def test_nodes(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
import stat
os.mkdir("d")
for i in range(3): os.mknod(f"file{i}", 0o640 | stat.S_IFREG)
assert call(133, b"plain", 0o600, 0) == 0
os.mkfifo("fifo", 0o600)
d = os.open("d", os.O_RDONLY)
os.mknod("socket", 0o600 | stat.S_IFSOCK, dir_fd=d)
assert fails(os.mknod, "fifo") == errno.EEXIST
assert call(133, 0, 0o600, 0) == -errno.EFAULT
""",
        cwd=here,
    )
    made = [(each.result, stat.S_IFMT(each.mode), each.created, flags(each)) for each in run.opens]
    assert made == [
        *[(NO_DESCRIPTOR, stat.S_IFREG, 1, watch.by_name)] * 4,
        (NO_DESCRIPTOR, stat.S_IFIFO, 1, watch.by_name),
        (NO_DESCRIPTOR, stat.S_IFSOCK, 1, watch.by_name),
        (-17, stat.S_IFREG, 0, USER),
        (-14, stat.S_IFREG, 0, USER | Flag.UNREADABLE),
    ]
    assert [path for path, _ in opened(run.opens)][:-1] == [
        *(f"{here}/file{i}" for i in range(3)),
        f"{here}/plain",
        f"{here}/fifo",
        f"{here}/d/socket",
        f"{here}/fifo",
    ]
