"""lsm.bpf.c: what the lists do not allow is refused before it happens, to members and to nobody else.

Where the kernel asks no BPF programs all of this is skipped; `scripts/matrix` boots kernels that do.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.conftest import Triggers, new_source
from tests.kernel.watching import PYTHON, Gated, Run, Watch, flags, list_paths, where, where_to
from tracer.capture.probes import ProbeSource
from tracer.capture.trials import try_lsm
from tracer.records import Act, Flag, Kind, OpenRecord, PathRecord
from tracer.rules.allowed import compile_paths

Refusing = Callable[..., Watch]

# Does each act of a list, and tells what became of it.
ACTS = """
import json

def named(folder, name):
    file = os.open(folder, os.O_TMPFILE | os.O_WRONLY)
    result = call(265, -100, f"/proc/self/fd/{file}".encode(), -100, os.fsencode(name), 0x400)  # linkat
    if result:
        raise OSError(-result, "linkat")

what = {
    "open": lambda path, flags: os.close(os.open(path, flags, 0o644)),
    "reopen": lambda path, flags: os.close(os.open(f"/proc/self/fd/{os.open(path, os.O_RDONLY)}", flags)),
    "at": lambda folder, name, flags: os.close(os.open(name, flags, dir_fd=os.open(folder, os.O_RDONLY))),
    "fchmod": lambda path: os.fchmod(os.open(path, os.O_RDONLY), 0o600),
    "fchown": lambda path: os.fchown(os.open(path, os.O_RDONLY), 1, 1),
    "tmpfile": lambda folder: os.open(folder, os.O_TMPFILE | os.O_WRONLY),
    "named": named,
    "memfd": lambda flags: os.close(os.open(f"/proc/self/fd/{os.memfd_create('x')}", flags)),
}

def tried(name, *arguments):
    try:
        what.get(name, getattr(os, name, None))(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"

print(json.dumps([tried(*each) for each in json.loads(args[0])]))
"""
WRITE, READ, CREATE = os.O_WRONLY, os.O_RDONLY, os.O_CREAT


@pytest.fixture(scope="module")
def source() -> Iterator[ProbeSource]:
    """One for all, as it takes long to load where the processor is emulated."""
    source = new_source(guarding=True)
    try:
        if why := try_lsm().why or (source.loader == "bcc" and source.probes.no_hooks):
            pytest.skip(f"this kernel refuses nothing by BPF programs: {why}")
        assert source.probes.hooks, source.probes.no_hooks
        assert source.guard
        list_paths(source.guard, ["/**"], ["/**"])
        source.guard.refuse(programs=True, writes=True, mounts=True)
        yield source
    finally:
        source.close()


@pytest.fixture
def refusing(source: ProbeSource, triggers: Triggers) -> Iterator[Refusing]:
    """Watches, and refuses all programs and changes that are in no list."""

    def listed(writes: Sequence[str] = (), programs: Sequence[str] = ("/**",)) -> Watch:
        assert source.guard
        list_paths(source.guard, programs, [*writes, "/dev/null"])
        return Watch(source, triggers)

    yield listed
    assert source.guard
    list_paths(source.guard, ["/**"], ["/**"])


@pytest.fixture
def work(here: Path) -> Path:
    """A folder that may be written to, with a file `old`; beside it `no` with the same."""
    for name in ("work", "no"):
        (here / name).mkdir()
        (here / name / "old").write_text("old")
    return here / "work"


def did(watch: Watch, *acts: Sequence[Any]) -> tuple[Run, list[str]]:
    run = watch.python(ACTS, json.dumps(acts, default=str))
    results: list[str] = json.loads(run.output.splitlines()[-1])
    return run, results


def named(record: OpenRecord | PathRecord) -> tuple[Kind, str, str]:
    both = isinstance(record, PathRecord) and record.kind in (Kind.RENAME, Kind.LINK)
    return Kind(record.kind), where(record), where_to(record) if both else ""  # type: ignore[arg-type]


def refused(run: Run) -> list[tuple[Kind, str, str]]:
    """What the records of refused acts name. All of it is the kernel's word."""
    found = [
        each
        for each in run.records
        if isinstance(each, OpenRecord | PathRecord) and Flag.REFUSED in flags(each)
    ]
    assert {(each.result, Flag.USER_EVIDENCE in flags(each)) for each in found} <= {(-errno.EPERM, False)}
    return [named(each) for each in found]


def state_of(folder: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (str(each), each.lstat().st_mode, each.lstat().st_uid, each.read_bytes() if each.is_file() else b"")
        for each in sorted(folder.rglob("*"))
    ]


# --- files


@pytest.mark.short
def test_every_change_is_refused_before_it_happens(refusing: Refusing, work: Path) -> None:
    no, old = work.parent / "no", work.parent / "no/old"
    (no / "folder").mkdir()
    before = state_of(no)
    acts: list[tuple[tuple[Any, ...], tuple[Kind, Path, Path | str]]] = [
        (("open", old, WRITE), (Kind.OPEN, old, "")),
        (("open", old, READ | os.O_TRUNC), (Kind.OPEN, old, "")),
        (("open", no / "new", WRITE | CREATE), (Kind.OPEN, no / "new", "")),
        (("open", no / "new", READ | CREATE | os.O_EXCL), (Kind.OPEN, no / "new", "")),
        (("mknod", no / "fifo", 0o10600), (Kind.OPEN, no / "fifo", "")),
        (("truncate", old, 0), (Kind.TRUNCATE, old, "")),
        (("chmod", old, 0o777), (Kind.CHMOD, old, "")),
        (("fchmod", old), (Kind.CHMOD, old, "")),
        (("chown", old, 1, 1), (Kind.CHOWN, old, "")),
        (("fchown", old), (Kind.CHOWN, old, "")),
        (("mkdir", no / "made"), (Kind.MKDIR, no / "made", "")),
        (("rmdir", no / "folder"), (Kind.RMDIR, no / "folder", "")),
        (("symlink", "to", no / "link"), (Kind.SYMLINK, no / "link", "")),
        (("unlink", old), (Kind.UNLINK, old, "")),
        (("rename", old, work / "got"), (Kind.RENAME, old, work / "got")),
        (("rename", work / "old", old), (Kind.RENAME, work / "old", old)),
        (("link", old, work / "got"), (Kind.LINK, old, work / "got")),
        (("link", work / "old", no / "got"), (Kind.LINK, work / "old", no / "got")),
    ]
    run, results = did(refusing([f"{work}/**"]), *(act for act, _ in acts))
    assert results == ["EPERM"] * len(acts)
    assert refused(run) == [(kind, str(path), str(other)) for _, (kind, path, other) in acts]
    assert state_of(no) == before
    assert [each.name for each in work.iterdir()] == ["old"]
    assert len(run.acts) == len(acts)  # each told once


def test_what_the_list_allows_happens(refusing: Refusing, work: Path) -> None:
    no = work.parent / "no"
    acts: list[tuple[Any, ...]] = [
        ("open", work / "old", WRITE),
        ("open", work / "new", WRITE | CREATE),
        ("mkdir", work / "made"),
        ("rename", work / "new", work / "made/new"),
        ("chmod", work / "made/new", 0o600),
        ("unlink", work / "made/new"),
        ("rmdir", work / "made"),
        ("open", no / "old", READ),
        ("open", no / "old", READ | CREATE),  # it is there: nothing is made
        ("open", "/dev/null", WRITE),
        ("open", "/proc/self/mem", READ),
    ]
    run, results = did(refusing([f"{work}/**"]), *acts)
    assert results == ["ok"] * len(acts)
    assert refused(run) == []
    run, results = did(refusing([f"{work}/**", f"!{work}/.git/**"]), ("mkdir", work / ".git"))
    assert results == ["EPERM"]


def test_whatever_way_leads_to_the_file(refusing: Refusing, work: Path) -> None:
    no, old = work.parent / "no", work.parent / "no/old"
    (work / "link").symlink_to(old)
    (work / "folder").symlink_to(no)
    (work / "hard").hardlink_to(old)
    acts: list[tuple[Any, ...]] = [
        ("open", work / "link", WRITE),
        ("open", work / "folder/new", WRITE | CREATE),
        ("open", work / "../no/old", WRITE),
        ("at", no, "old", WRITE),
        ("reopen", old, WRITE),
        ("reopen", work / "link", os.O_RDWR),
        ("tmpfile", no),
        ("named", work, no / "named"),
        ("memfd", WRITE),
    ]
    _, results = did(refusing([f"{work}/**"]), *acts)
    assert results == ["EPERM"] * len(acts)
    _, results = did(refusing([f"{work}/**"]), ("named", work, work / "named"), ("open", work / "hard", READ))
    assert results == ["ok", "ok"]
    # Another name of the file was there before: no path tells that, here or in the rules.
    assert did(refusing([f"{work}/**"]), ("open", work / "hard", WRITE))[1] == ["ok"]


def test_a_path_is_the_one_of_the_callers_mounts(refusing: Refusing, work: Path) -> None:
    """In a mount namespace where the forbidden folder lies below the allowed one, and the other way round."""
    no = work.parent / "no"
    (work / "no").mkdir()
    code = 'mount --bind "$1/no" "$1/work/no" && mount --bind "$1/work" "$1/no" && exec "$2" "$3" "$4"'
    watch = refusing([f"{work}/**"])
    inside = Gated(
        watch.triggers("gate"),
        ["/usr/bin/unshare", "-m", "sh", "-c", code, "sh", str(work.parent), "/bin/sh", "-c", "cat"],
        stdin=subprocess.PIPE,
    )
    try:
        inside.open()
        # Made by nobody who is watched: whoever is may mount nothing.
        code = "for each in work/no/old no/old; do (: >>$0/$each) 2>/dev/null; echo $?; done"
        assert inside._process.stdin
        enter = ["/usr/bin/nsenter", f"--mount=/proc/{inside.pid}/ns/mnt"]
        wait_for_cat(inside)
        run = watch.run(*enter, "/bin/sh", "-c", code, str(work.parent))
        assert run.output.split() == [b"0", b"2"]
        assert refused(run) == [(Kind.OPEN, str(no / "old"), "")]
    finally:
        inside.end()


def wait_for_cat(gated: Gated) -> None:
    """It answers once it is there."""
    process = gated._process
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"here\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"here\n"


@pytest.mark.parametrize("modes", ["-", "s", "a", "d"])
def test_through_io_uring(refusing: Refusing, work: Path, modes: str) -> None:
    no, old = work.parent / "no", work.parent / "no/old"
    before = state_of(no)
    acts = ["open2", no / "new", "mkdir", no / "made", "unlink", old, "rename", old, work / "got"]
    acts += ["link", old, work / "got", "symlink", "to", no / "link", "mkdir", work / "made"]
    watch = refusing([f"{work}/**"])
    run = watch.trigger("uring", modes, *map(str, acts))
    if run.status == 77:
        pytest.skip("this kernel has no io_uring of that kind")
    assert [int(each) for each in run.output.split()] == [-errno.EPERM] * 6 + [0]
    assert refused(run) == [
        (Kind.OPEN, str(no / "new"), ""),
        (Kind.MKDIR, str(no / "made"), ""),
        (Kind.UNLINK, str(old), ""),
        (Kind.RENAME, str(old), str(work / "got")),
        (Kind.LINK, str(old), str(work / "got")),
        (Kind.SYMLINK, str(no / "link"), ""),
    ]
    assert state_of(no) == before


def test_nobody_else_is_refused(refusing: Refusing, work: Path) -> None:
    refusing([], [])
    (work / "ours").write_text("x")
    assert subprocess.run(["/usr/bin/true"], check=False).returncode == 0
    os.kill(os.getpid(), 0)


def test_the_kernel_and_the_rules_agree(refusing: Refusing, here: Path) -> None:
    """On many names, wildcards and bytes that are no text among them."""
    names = [
        "a",
        "b",
        "ab",
        "ba",
        ".git",
        "a.py",
        "é",
        "éa",
        "a\n",
        "x" * 255,
        "\udcff",
        "\udcc3a",
        "*",
        "a*",
    ]
    folders = ["", "a/", "ab/", "é/", "a/b/"]
    for folder in folders:
        (here / folder).mkdir(parents=True, exist_ok=True)
    patterns = ["/a/**", "/*/?", "/**/*.py", "/[!a]*", "/é?", "/\\*", "!/a/b/**", "!/**/.git", "/a*\n"]
    patterns = [f"{each[0]}{here}{each[1:]}" if each[0] == "!" else f"{here}{each}" for each in patterns]
    paths = [f"{here}/{folder}{name}" for folder in folders for name in names]
    paths = [path for path in paths if not os.path.isdir(path)]
    expected = [compile_paths(patterns)(path) for path in paths]
    assert len(set(expected)) == 2
    _, results = did(refusing(patterns), *(("open", path, WRITE | CREATE) for path in paths))
    assert results == ["ok" if each else "EPERM" for each in expected]


# --- programs


@pytest.mark.short
def test_a_program_is_refused_and_the_caller_goes_on(refusing: Refusing, work: Path) -> None:
    for name in ("allowed", "forbidden"):
        shutil.copy("/usr/bin/true", work / name)
    (work / "script").write_text(f"#!{work}/forbidden\n")
    (work / "script").chmod(0o755)
    code = """
import errno
def run(file, *argv):
    pid = os.fork()
    if not pid:
        try:
            os.execve(file, argv, {})
        except OSError as error:
            os._exit(error.errno)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

os.chdir(args[0])
memory = os.memfd_create("allowed", 0)
os.write(memory, open("allowed", "rb").read())
tried = [run("allowed", "a"), run("./forbidden", "first", "second"), run("script", "s"), run(memory, "m")]
tried += [run(os.open("forbidden", os.O_RDONLY), "fd"), run(os.open("allowed", os.O_RDONLY), "fd")]
os.symlink("forbidden", "link")
print(*tried, run("link", "l"), run("missing", "x"))
"""
    programs = [PYTHON, os.path.realpath("/bin/sh"), f"{work}/allowed", f"{work}/script"]
    run = refusing(["/**"], programs).python(code, work)
    assert run.output.split() == [b"0", b"1", b"1", b"1", b"1", b"0", b"1", b"2"]
    said = [each for each in run.failed_execs if Flag.REFUSED in flags(each)]
    assert [where(each) for each in said] == [f"{work}/forbidden"] * 2 + ["/memfd:allowed"] + [
        f"{work}/forbidden"
    ] * 2
    assert said[0].args == ("first", "second")
    assert {flags(each) & ~Flag.DELETED for each in said} == {Flag.REFUSED | Flag.USER_ARGS}
    assert {each.result for each in said} == {-errno.EPERM}
    assert [each.path for each in run.execs] == [f"{work}/allowed"] * 2
    assert len(run.failed_execs) == 6


# --- what makes a path lead elsewhere; the engine

MOUNTS = """
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, flags):
    return ctypes.get_errno() if libc.mount(source, target, None, flags, None) else 0

here = os.fsencode(args[0])
print(mount(here + b"/no", here + b"/work", 4096), mount(None, b"/", 1 << 18 | 16384), fails(os.chroot, here))
"""


def test_nothing_is_mounted(refusing: Refusing, work: Path) -> None:
    """But how mounts spread may be said."""
    command = ["/usr/bin/unshare", "-m", PYTHON, "-ISc", "exec(open(0).read())", work.parent]
    watch = refusing(["/**"])
    prelude = (Path(__file__).parent / "triggers/prelude.py").read_text()
    script = work / "script"
    script.write_text(prelude + MOUNTS)
    with open(script) as file:
        run = watch.run(*command, stdin=file)
    assert run.output.split() == [b"1", b"0", b"1"]
    acts = {Act(each.act): Flag.REFUSED in flags(each) for each in run.boundaries if each.result < 0}
    assert acts == {Act.MOUNT: True, Act.CHROOT: True}


@pytest.mark.short
def test_the_engine_can_neither_be_signalled_nor_looked_into(refusing: Refusing) -> None:
    code = """
engine = int(args[0])
os.kill(engine, 0)
print(fails(os.kill, engine, 10), -call(101, 16, engine, 0, 0), fails(open, f"/proc/{engine}/mem", "rb"))
"""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        run = refusing(["/**"]).python(code, str(os.getpid()))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert run.output.split() == [b"1", b"1", b"13"]
    kill, ptrace = (
        next(each for each in run.boundaries if each.act == act) for act in (Act.KILL, Act.PTRACE)
    )
    assert (kill.result, Flag.REFUSED in flags(kill), kill.target.pid) == (-1, True, os.getpid())
    assert (ptrace.result, Flag.REFUSED in flags(ptrace)) == (-1, True)


ENGINE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from tests.kernel.conftest import new_source
from tests.kernel.watching import list_paths
from tracer.capture import Wanted
source = new_source(guarding=True)
list_paths(source.guard, ["/**"], ["/dev/null"])
source.guard.refuse(programs=True, writes=True, mounts=True)
source.add_process(Wanted(int(sys.argv[2]), silent=True), 1)
print("ready", flush=True)
sys.stdin.read()
"""


def test_it_goes_with_the_engine_even_by_sigkill(source: ProbeSource, triggers: Triggers, work: Path) -> None:
    code = 'for each in 1 2; do (: >>"$0/old") 2>/dev/null; echo $?; read line; done'
    member = Gated(triggers("gate"), ["/bin/sh", "-c", code, str(work)], stdin=subprocess.PIPE)
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", ENGINE, str(root), str(member.pid)]
    engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert engine.stdout
        assert engine.stdout.readline() == b"ready\n"
        member.open()
        process = member._process
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"2\n"
        engine.kill()
        engine.wait()
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"0\n"
    finally:
        member.end()
        engine.kill()
        engine.communicate()
