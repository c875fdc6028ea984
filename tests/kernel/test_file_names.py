"""file.bpf.c, names.bpf.c: the calls that change a name or an attribute.

Where the kernel has found the name and is about to act, tier A sees that (`watch.by_name`); a call that fails
before is known by the caller's words on both.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, flags, where, where_to
from tracer.records import Flag, Kind

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE
AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = 0x100, 0x1000


@pytest.mark.short
@pytest.mark.route("name: rename, renameat2", Kind.RENAME)
@pytest.mark.route("name: rename that finds no file", Kind.RENAME, failed=True)
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
    found = [(where(each), where_to(each), each.result, flags(each)) for each in run.paths(Kind.RENAME)]
    assert found == [
        (f"{here}/a", f"{here}/e", 0, watch.by_name),
        (f"{here}/b", f"{here}/sub/moved", 0, watch.by_name),
        (f"{here}/sub/moved", f"{here}/sub/back", 0, watch.by_name),
        (f"{here}/c", f"{here}/d", 0, watch.by_name),
        (f"{here}/c", f"{here}/d", -errno.EEXIST, USER),
        (f"{here}/missing", f"{here}/other", -errno.ENOENT, USER),
        (f"{here}/sub", f"{here}/sub/inside", -errno.EINVAL, USER),
    ]
    assert len(run.paths()) == 8  # and the mkdir


def test_which_file_it_was(watch: Watch, here: Path) -> None:
    """Named by a path: tier A sees it inside the call; on tier B nothing of the kernel says it afterwards."""
    (here / "file").write_text("x")
    stat = (here / "file").stat()
    run = watch.python(
        'os.chmod("file", 0o600); os.chown("file", 0, 0); os.truncate("file", 0); os.link("file", "other")\n'
        'os.rename("file", "moved"); os.unlink("moved"); os.mkdir("made")',
        cwd=here,
    )
    known = (stat.st_ino, stat.st_dev) if watch.source.tier == "A" else (0, 0)
    assert [(each.kind, (each.inode, each.device)) for each in run.paths()] == [
        *(
            (kind, known)
            for kind in (Kind.CHMOD, Kind.CHOWN, Kind.TRUNCATE, Kind.LINK, Kind.RENAME, Kind.UNLINK)
        ),
        (Kind.MKDIR, (0, 0)),
    ]


@pytest.mark.short
@pytest.mark.route("name: unlink", Kind.UNLINK)
@pytest.mark.route("name: rmdir", Kind.RMDIR)
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
    by_name = watch.by_name
    other = f"{here}/sub/../other" if by_name == USER else f"{here}/other"
    assert [(each.kind, where(each), each.result, flags(each)) for each in acts] == [
        (Kind.UNLINK, f"{here}/a", 0, by_name),
        (Kind.UNLINK, f"{here}/b", 0, by_name),
        (Kind.RMDIR, f"{here}/sub", -errno.ENOTEMPTY, by_name),
        (Kind.UNLINK, f"{here}/sub/c", 0, by_name),
        (Kind.RMDIR, f"{here}/empty", 0, by_name),
        (Kind.RMDIR, other, 0, by_name),
        (Kind.UNLINK, f"{here}/a", -errno.ENOENT, USER),
        (Kind.UNLINK, f"{here}/sub", -errno.EISDIR, by_name),
        (Kind.RMDIR, f"{here}/missing", -errno.ENOENT, USER),
    ]


@pytest.mark.route("name: mkdir", Kind.MKDIR)
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
    assert {each.kind for each in run.paths()} == {Kind.MKDIR}
    assert [(where(each), each.value, each.result, flags(each)) for each in run.paths()] == [
        (f"{here}/a", 0o750, 0, watch.by_name),
        (f"{here}/a/b", 0o1777, 0, watch.by_name),
        (f"{here}/a", 0o777, -errno.EEXIST, USER),
        (f"{here}/missing/c", 0o777, -errno.ENOENT, USER),
    ]


@pytest.mark.route("name: link", Kind.LINK)
@pytest.mark.route("name: symlink", Kind.SYMLINK)
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
    found = [(where(each), where_to(each), each.result, flags(each)) for each in run.paths(Kind.LINK)]
    assert found == [
        (f"{here}/a", f"{here}/b", 0, watch.by_name),
        (f"{here}/a", f"{here}/sub/c", 0, watch.by_name),
        (f"{here}/a", f"{here}/b", -errno.EEXIST, USER),
    ]
    found = [(where(each), each.name2, each.result, flags(each)) for each in run.paths(Kind.SYMLINK)]
    assert found == [
        (f"{here}/s", "a", 0, watch.by_name),
        (f"{here}/sub/t", "/no/such/target\n", 0, watch.by_name),
        (f"{here}/s", "x", -errno.EEXIST, USER),
    ]


@pytest.mark.route("name: truncate", Kind.TRUNCATE)
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
        (f"{here}/a", 3, 0, watch.by_name),
        (f"{here}/a", 1 << 33, 0, KERNEL),
        (f"{here}/a", 0, -errno.EINVAL, KERNEL),
        (f"{here}/missing", 7, -errno.ENOENT, USER),
    ]


@pytest.mark.route("name: chmod, fchmodat2", Kind.CHMOD)
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
    newer = [(f"{here}/a", 0o644, 0, watch.by_name), (f"{here}/a", 0o604 | AT_EMPTY_PATH << 32, 0, KERNEL)]
    if run.output != b"True\n":
        newer = [(f"{here}/a", 0o644, -errno.ENOSYS, USER)]
    assert {each.kind for each in run.paths()} == {Kind.CHMOD}
    assert [(where(each), each.value, each.result, flags(each)) for each in run.paths()] == [
        (f"{here}/a", 0o4755, 0, watch.by_name),
        (f"{here}/a", 0o600, 0, KERNEL),
        (f"{here}/a", 0o640, 0, watch.by_name),
        *newer,
        (f"{here}/missing", 0o777, -errno.ENOENT, USER),
    ]


@pytest.mark.route("name: chown", Kind.CHOWN)
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
    by_name = watch.by_name
    evidence = [by_name, by_name, KERNEL, by_name, KERNEL, by_name, USER, KERNEL]
    assert [flags(each) for each in acts] == evidence


def test_a_failure_is_not_taken_for_the_call_before(watch: Watch, here: Path) -> None:
    """What was found for one call is not there for the next one: by whichever way the first ended."""
    run = watch.python(
        """
write("a"); fd = os.open("a", os.O_RDONLY)
os.close(os.open("a", os.O_WRONLY | os.O_TRUNC))
assert fails(os.truncate, "missing", 1) == errno.ENOENT
os.fchmod(fd, 0o600)
assert fails(os.chmod, "missing", 0o777) == errno.ENOENT
call(452, fd, b"", 0o604, 0x1000)
assert fails(os.chmod, "missing", 0o777) == errno.ENOENT
assert fails(os.open, "a/b", os.O_WRONLY) == errno.ENOTDIR
assert fails(os.open, "x" * 4200, os.O_WRONLY) == errno.ENAMETOOLONG
os.mkdir("sub")
assert fails(os.mkdir, "sub") == errno.EEXIST
""",
        cwd=here,
    )
    missing = [each for each in run.paths() if each.name == "missing"]
    assert [(each.kind, each.result, flags(each)) for each in missing] == [
        (Kind.TRUNCATE, -errno.ENOENT, USER),
        (Kind.CHMOD, -errno.ENOENT, USER),
        (Kind.CHMOD, -errno.ENOENT, USER),
    ]
    again = run.paths(Kind.MKDIR)[-1]
    assert (where(again), again.result, flags(again)) == (f"{here}/sub", -errno.EEXIST, USER)
    refused = [each for each in run.opens if each.result < 0]
    assert [(each.result, flags(each) & USER) for each in refused] == [
        (-errno.ENOTDIR, watch.by_name),
        (-errno.ENAMETOOLONG, USER),
    ]


def test_through_symbolic_links(watch: Watch, here: Path) -> None:
    """Tier A says where they lead; of tier B's words that is made out later, for links made under watch."""
    run = watch.python(
        """
os.mkdir("real"); os.symlink("real", "way"); write("real/a"); os.symlink("real/a", "direct")
os.chmod("direct", 0o600)
os.truncate("way/a", 1)
os.rename("way/a", "way/b")
os.unlink("way/b")
os.unlink("direct")
""",
        cwd=here,
    )
    acts = [each for each in run.paths() if each.kind not in (Kind.MKDIR, Kind.SYMLINK)]
    found = [(where(each), flags(each)) for each in acts]
    inner = [f"{here}/{each}" for each in ("real/a", "real/a", "real/a", "real/b", "direct")]
    as_given = [f"{here}/{each}" for each in ("direct", "way/a", "way/a", "way/b", "direct")]
    paths = as_given if watch.by_name == USER else inner
    assert found == [(path, watch.by_name) for path in paths]
