"""syscalls.bpf.c: the same acts through every table, and all families in one workload."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers
from tests.kernel.watching import PRELUDE, PYTHON, Watch, closed, opened, where, where_to
from tracer.records import Act, Kind


@pytest.fixture
def ports() -> tuple[int, int]:
    """One that answers and one that refuses, both held until the test ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield server.getsockname()[1], bound.getsockname()[1]


@pytest.mark.short
def test_the_upper_half_of_a_number_hides_no_call(watch: Watch, here: Path) -> None:
    run = watch.trigger("numbers", "wide", cwd=here)
    assert run.status == 0
    assert opened(run.opens) == [(f"{here}/wide", 0)]
    assert closed(run.closes) == [(f"{here}/wide", 5, 1)]
    (unlink,) = run.paths()
    assert (unlink.kind, where(unlink), unlink.result) == (Kind.UNLINK, f"{here}/wide", 0)


@pytest.mark.short
@pytest.mark.route("x32 program: open, connect, exec", Kind.OPEN, Kind.CONNECT, Kind.EXEC)
@pytest.mark.route("x32 program: rename, unlink", Kind.RENAME, Kind.UNLINK)
def test_x32(watch: Watch, triggers: Triggers, here: Path, ports: tuple[int, int]) -> None:
    leaf = triggers("leaf")
    run = watch.trigger("numbers", "x32", str(ports[0]), leaf, cwd=here)
    if run.status == 77:
        pytest.skip("this kernel has no x32")
    assert run.status == 13
    assert opened(run.opens) == [(f"{here}/x32", 0)]
    assert closed(run.closes) == [(f"{here}/x32", 7, 1)]
    (failed,) = run.failed_execs
    assert (where(failed), failed.args, failed.result) == (f"{here}/missing", ("seven b",), -errno.ENOENT)
    assert [each.act for each in run.boundaries] == [Act.PTRACE]
    assert [(each.peer.dport, each.result) for each in run.connects] == [(ports[0], 0)]
    rename, unlink = run.paths()
    assert (rename.kind, where(rename), where_to(rename)) == (
        Kind.RENAME,
        f"{here}/x32",
        f"{here}/renamed",
    )
    assert (unlink.kind, where(unlink), unlink.result) == (Kind.UNLINK, f"{here}/renamed", 0)
    assert [(each.path, each.args) for each in run.execs] == [(str(leaf), ("leaf", "13"))]


@pytest.mark.short
@pytest.mark.route("32-bit program: open, connect, exec", Kind.OPEN, Kind.CONNECT, Kind.EXEC)
@pytest.mark.route("32-bit program: rename, unlink", Kind.RENAME, Kind.UNLINK)
def test_i386_program(watch: Watch, triggers: Triggers, here: Path, ports: tuple[int, int]) -> None:
    leaf = triggers("leaf")
    run = watch.trigger("i386", here, str(ports[0]), str(ports[1]), leaf)
    assert run.status == 11
    assert opened(run.opens) == [
        (f"{here}/opened", 0),
        (f"{here}/created", 0),
        (f"{here}/missing/file", -errno.ENOENT),
    ]
    assert closed(run.closes) == [(f"{here}/opened", 7, 1), (f"{here}/created", 0, 0)]
    truncate, rename, *unlinks = run.paths()
    assert (truncate.kind, where(truncate), truncate.value) == (
        Kind.TRUNCATE,
        f"{here}/opened",
        (1 << 32) + 3,
    )
    assert (rename.kind, where(rename), where_to(rename)) == (
        Kind.RENAME,
        f"{here}/created",
        f"{here}/renamed",
    )
    assert [(each.kind, where(each), each.result) for each in unlinks] == [
        (Kind.UNLINK, f"{here}/renamed", 0),
        (Kind.UNLINK, f"{here}/renamed", -errno.ENOENT),
    ]
    assert [(each.peer.dport, each.result) for each in run.connects] == [
        (ports[0], 0),
        (ports[0], 0),
        (ports[1], -errno.ECONNREFUSED),
    ]
    assert {each.peer.daddr[:4] for each in run.connects} == {bytes([127, 0, 0, 1])}
    (failed,), (exec_,) = run.failed_execs, run.execs
    assert (where(failed), failed.args, failed.result) == (
        f"{here}/missing/program",
        ("leaf", "11"),
        -errno.ENOENT,
    )
    assert (exec_.path, exec_.args) == (str(leaf), ("leaf", "11"))
    assert [each.peer.dport for each in run.flows] == [ports[0]] * 2
    assert len(run.acts) == 3 + 2 + 4 + 3 + 2 + 2


def test_unknown_numbers_are_nothing(watch: Watch) -> None:
    run = watch.python("for number in (447, 511, 512, 1023, 100000, 1 << 31): call(number, 1, 2, 3)")
    assert run.acts == []


def test_refused_by_seccomp(watch: Watch, here: Path) -> None:
    """A filter answers in the kernel's place; the attempt is an event all the same."""
    run = watch.python(
        """
def statement(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
EPERM_ANSWER, ALLOW = 0x00050001, 0x7fff0000
program = ctypes.create_string_buffer(
    statement(0x20, 0, 0, 0)               # load the number
    + statement(0x15, 0, 1, 87)            # unlink?
    + statement(0x06, 0, 0, EPERM_ANSWER)
    + statement(0x06, 0, 0, ALLOW)
)
header = struct.pack("HxxxxxxQ", 4, ctypes.addressof(program))
assert call(157, 38, 1, 0, 0, 0) == 0      # PR_SET_NO_NEW_PRIVS
assert call(317, 1, 0, header) == 0        # SECCOMP_SET_MODE_FILTER
assert fails(os.unlink, "file") == errno.EPERM
""",
        cwd=here,
    )
    assert [(each.kind, where(each), each.result) for each in run.paths()] == [
        (Kind.UNLINK, f"{here}/file", -errno.EPERM)
    ]


WORKLOAD = """
set -e
"$1" fork 11 "$2"                                      # 12 execs
for i in 0 1 2 3 4; do "$2" 0; done                    # 5 execs
for i in 0 1 2 3 4 5 6; do echo "line $i" > sh$i; done # 7 files
"$PYTHON" -I -S -B "$PART" "$3" "$4"                   # 1 exec, 24 files, 4 renames, 1 unlink, 17 connects
mv sh0 moved0; mv sh1 moved1; mv sh2 moved2            # 3 execs, 3 renames
rm moved0 moved1                                       # 1 exec, 2 unlinks
"$2" 0                                                 # 1 exec
"""

PART = """
good, bad = map(int, args)
for i in range(24): write(f"py{i}", b"x" * i)
for i in range(4): os.rename(f"py{i}", f"renamed{i}")
os.unlink("renamed0")
for i in range(12): socket.create_connection(("127.0.0.1", good)).close()
for i in range(5): assert fails(socket.socket().connect, ("127.0.0.1", bad)) == errno.ECONNREFUSED
"""


def test_a_mixed_workload(watch: Watch, triggers: Triggers, here: Path, ports: tuple[int, int]) -> None:
    """23 execs, 17 connects of which 5 refused, 31 written files, 7 renames, 3 unlinks: sh, python and C."""
    part = here.parent / f"{here.name}.py"
    part.write_text(PRELUDE + PART)
    run = watch.shell(
        WORKLOAD,
        triggers("spawn"),
        triggers("leaf"),
        *map(str, ports),
        cwd=here,
        env={"PATH": "/usr/bin:/bin", "PYTHON": PYTHON, "PART": str(part)},
    )
    assert run.status == 0, run.output
    assert Counter(each.kind for each in run.acts) == {
        Kind.FORK: 23,
        Kind.EXEC: 23,
        Kind.EXIT: 23,
        Kind.CONNECT: 17,
        Kind.OPEN: 31,
        Kind.CLOSE: 31,
        Kind.RENAME: 7,
        Kind.UNLINK: 3,
        Kind.FLOW: 12,
    }
    assert sum(each.result == -errno.ECONNREFUSED for each in run.connects) == 5
    assert {each.path for each in run.opens} == {
        f"{here}/{name}" for name in [*(f"sh{i}" for i in range(7)), *(f"py{i}" for i in range(24))]
    }
    parents = {each.pid: each.parent_pid for each in run.forks}
    assert [parents[each.pid] for each in run.execs] == [each.parent_pid for each in run.execs]
    assert Counter(parents.values())[run.pid] == 12
    assert {each.status for each in run.exits} == {0, *(i << 8 for i in range(11))}
