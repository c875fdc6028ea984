"""file.bpf.c: the calls that change a name or an attribute."""

from __future__ import annotations

import errno
from pathlib import Path

from tests.kernel.watching import Watch, flags, where, where_to
from tracer.records import Flag, Kind

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE
AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = 0x100, 0x1000


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
    newer = [(f"{here}/a", 0o644, 0, USER), (f"{here}/a", 0o604 | AT_EMPTY_PATH << 32, 0, KERNEL)]
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
        (f"{here}/s", 7 | AT_SYMLINK_NOFOLLOW << 32, 11, 0),
        (f"{here}/a", 13, none, 0),
        (f"{here}/a", none, 17, 0),
        (f"{here}/a", 19 | AT_EMPTY_PATH << 32, 23, 0),
        (f"{here}/sub", 19 | AT_EMPTY_PATH << 32, 23, 0),
        (f"{here}/sub/missing", 1, 1, -errno.ENOENT),
        (f"{here}/a", 0, 0, -errno.EPERM),
    ]
    assert [flags(each) for each in acts] == [USER, USER, KERNEL, USER, KERNEL, USER, USER, KERNEL]
