"""path.h: the full path of a file, whatever lies between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, closed, flags, opened, where, where_to
from tracer.records import CloseRecord, Flag, OpenRecord

KERNEL, USER = Flag(0), Flag.USER_EVIDENCE


@pytest.mark.short
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


def test_a_name_in_no_directory_does_not_look_like_a_path(watch: Watch) -> None:
    run = watch.python(
        """
for name in sys.argv[1:]:
    memory = os.memfd_create(name)
    os.write(memory, open("/bin/true", "rb").read())
    if os.fork() == 0:
        os.execve(memory, [name], {})
    assert os.wait()[1] == 0
""",
        "x/git-core/lib/usr",
        "/" * 249,
        "plain",
    )
    assert [each.path for each in run.execs] == [
        "/memfd:x!git-core!lib!usr",
        "/memfd:" + "!" * 249,
        "/memfd:plain",
    ]
    assert [flags(each) for each in run.execs] == [Flag.DELETED] * 3


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


@pytest.mark.short
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
    assert (fits.name, flags(fits)) == ("./" * 2047 + "x", watch.by_name)
    assert (cut.name, flags(cut)) == (("./" * 2048)[:4095], USER | Flag.NAME_CUT)
