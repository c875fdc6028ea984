"""scope.h: who is watched, and that nobody else is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.conftest import Cgroup, Triggers, new_source
from tests.kernel.watching import SECONDS_MAX, Gated, Watch, python
from tracer.capture import Wanted
from tracer.capture.probes import ProbeSource
from tracer.records import ExecRecord, ExitRecord, ForkRecord, Kind, Record

NewCgroup = Callable[[str], Cgroup]


@contextmanager
def running(
    code: str, *arguments: str | bytes | Path, lines: int = 1
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A Python program in a session of its own, and the numbers it printed; it ends with its session."""
    process = subprocess.Popen(
        [*python(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # no file, which would be found open
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, [int(process.stdout.readline()) for _ in range(lines)]
    finally:
        process.stdin.close()  # all of them end when they read the end of it
        try:
            process.wait(SECONDS_MAX)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Let it go, and wait until all that hold its output are gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.read()
    assert process.wait(SECONDS_MAX) == 0


def kinds(records: list[Record], kind: Kind) -> list[int]:
    return [each.pid for each in records if each.kind == kind]


# ---- nobody leaves

STAY = """
def child(action):
    pid = os.fork()
    if pid == 0:
        action()
        write(f"f{os.getpid()}")
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.short
def test_nobody_leaves(watch: Watch, here: Path, new_cgroup: NewCgroup) -> None:
    """setsid, double fork, another root, another cgroup, namespaces."""
    cgroup = new_cgroup("elsewhere")
    run = watch.python(
        STAY
        + """
CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWUSER = 0x20000000, 0x20000, 0x10000000
read, written = os.pipe()
def orphan():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.read(read, 1)
            write("orphan")
        os._exit(0)
    os._exit(0)
def move():
    with open(args[0] + "/cgroup.procs", "r+") as file: file.write("0")
def namespaces():
    assert call(272, CLONE_NEWNS | CLONE_NEWPID) == 0
    pid = os.fork()
    if pid == 0:
        assert os.getpid() == 1
        write("first")
        os._exit(0)
    os.waitpid(pid, 0)
child(os.setsid)
child(lambda: os.setpgid(0, 0))
child(move)
child(namespaces)
child(orphan)
os.write(written, b"x")
""",
        cgroup.path,
        cwd=here,
    )
    written = [each.path.removeprefix(f"{here}/") for each in run.opens]
    own = [f"f{pid}" for pid in kinds(run.records, Kind.FORK)]
    assert {"orphan", "first"} < set(written)
    assert len([name for name in written if name in own]) == 4
    assert sorted(kinds(run.records, Kind.EXIT)) == sorted([run.pid, *kinds(run.records, Kind.FORK)])
    assert len(run.forks) == 8


def test_strangers_give_nothing(watch: Watch, triggers: Triggers, here: Path) -> None:
    """A sibling busy with the same acts, at the same time, in the same folder."""
    with running(
        """
import threading
going = True
def work():
    i = 0
    while going:
        write(f"stranger{i}")
        os.unlink(f"stranger{i}")
        os.spawnv(os.P_WAIT, "/bin/true", ["true"])
        i += 1
os.chdir(args[0])
thread = threading.Thread(target=work)
thread.start()
print(os.getpid(), flush=True)
sys.stdin.read()
going = False
thread.join()
""",
        here,
    ):
        run = watch.trigger("spawn", "fork", "13", triggers("leaf"), cwd=here)
    assert len(run.acts) == 3 * 13
    assert {each.pid for each in run.acts} == {each.pid for each in run.forks}


def test_nothing_before_a_target(watch: Watch) -> None:
    subprocess.run(["/bin/true"], check=True)
    assert watch.records() == []
    assert list(watch.source.members()) == []


def test_a_process_that_does_not_exist(watch: Watch) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert watch.source.add_process(Wanted(gone.pid), 1) == 0
    assert watch.records() == []


def test_a_dead_process_does_not_join(watch: Watch) -> None:
    """A zombie has a pid and a parent, but nothing will take it out of the scope again."""
    code = """
if os.fork() == 0:
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print(os.getpid(), flush=True)
sys.stdin.read()
os.wait()
"""
    with running(code) as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        assert list(watch.source.members()) == [pid]
        end(process)
    records = watch.records()
    assert [(each.kind, each.pid) for each in records] == [(Kind.PROCESS, pid), (Kind.EXIT, pid)]
    assert list(watch.source.members()) == []


# ---- attach to a process

TREE = """
def sit(depth):
    for _ in range(2 if depth else 0):
        if os.fork() == 0:
            sit(depth - 1)
    print(os.getpid(), flush=True)
    sys.stdin.read()
    while True:
        try: os.wait()
        except ChildProcessError: os._exit(0)
sit(3)
"""


def test_attach_to_a_tree(watch: Watch, tmp_path: Path) -> None:
    """All of a tree of fifteen, each once, with who it is and whose child."""
    with running(TREE, lines=15) as (process, pids):
        assert watch.source.add_process(Wanted(process.pid), 1) == 15
        assert sorted(watch.source.members()) == sorted(pids)
        end(process)
    records = watch.records()
    snapshot = [each for each in records if isinstance(each, ExecRecord)]
    assert sorted(each.pid for each in snapshot) == sorted(pids)
    assert {each.kind for each in snapshot} == {Kind.PROCESS}
    assert {(each.path, each.cwd, each.args) for each in snapshot} == {
        (os.path.realpath(python("")[0]), os.getcwd(), ())
    }
    assert [each.parent_pid for each in snapshot if each.pid == process.pid] == [os.getpid()]
    assert {each.parent_pid for each in snapshot if each.pid != process.pid} < set(pids)
    starts = {each.pid: each.start_ns for each in snapshot}
    assert all(
        starts[each.parent_pid] == each.parent_start_ns for each in snapshot if each.parent_pid in starts
    )
    assert sorted(kinds(records, Kind.EXIT)) == sorted(pids)
    assert len(records) == 30


BUSY = """
import signal
workers = int(args[0])
for _ in range(workers):
    if os.fork() == 0:
        while not os.path.exists(args[1]):
            if os.fork() == 0:
                if os.fork() == 0:
                    os._exit(0)
                os.wait()
                os._exit(0)
            os.wait()
        os._exit(0)
print(os.getpid(), flush=True)
sys.stdin.read()
open(args[1], "x").close()
for _ in range(workers): os.wait()
"""


@pytest.mark.parametrize("attempt", range(5))
def test_attach_while_it_forks_busily(watch: Watch, tmp_path: Path, attempt: int) -> None:
    """Whoever does something has been announced, once: by a snapshot or by its fork; and ends, once."""
    with running(BUSY, "5", tmp_path / "stop") as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) >= 1
        records: list[Record] = []
        while len(kinds(records, Kind.FORK)) < 499:
            assert watch.source.wait(SECONDS_MAX)
            records += watch.records()
        end(process)
    records += watch.records()
    announced = [(each.pid, each.start_ns) for each in records if each.kind in (Kind.FORK, Kind.PROCESS)]
    ended = [(each.pid, each.start_ns) for each in records if isinstance(each, ExitRecord)]
    assert len(set(announced)) == len(announced)
    assert len(set(ended)) == len(ended)
    assert set(ended) == set(announced)
    known = {(each.pid, each.start_ns) for each in records if each.kind == Kind.PROCESS}
    known |= {(each.pid, each.start_ns) for each in records if each.kind == Kind.FORK}
    forks = [each for each in records if isinstance(each, ForkRecord)]
    assert {(each.parent_pid, each.parent_start_ns) for each in forks} <= known
    assert list(watch.source.members()) == []


# ---- cgroups


@pytest.mark.short
def test_attach_to_a_cgroup(watch: Watch, new_cgroup: NewCgroup, here: Path) -> None:
    """What is in it and below it joins; what is beside it does not."""
    outer, beside = new_cgroup("outer"), new_cgroup("beside")
    inner = Cgroup(outer.path / "inner")
    inner.path.mkdir()
    ids = {outer.id, inner.id}
    code = "print(os.getpid(), flush=True); sys.stdin.read(); os.chdir(args[0]); write(f'f{os.getpid()}')"
    try:
        with running(code, here) as (a, _), running(code, here) as (b, _), running(code, here) as (c, _):
            for process, cgroup in ((a, outer), (b, inner), (c, beside)):
                (cgroup.path / "cgroup.procs").write_text(str(process.pid))
            assert watch.source.add_cgroup(outer.id, 1) == 2
            assert sorted(watch.source.members()) == sorted([a.pid, b.pid])
            for process in (a, b, c):
                end(process)
    finally:
        inner.remove()
    records = watch.records()
    assert sorted(kinds(records, Kind.PROCESS)) == sorted([a.pid, b.pid])
    assert sorted(kinds(records, Kind.OPEN)) == sorted([a.pid, b.pid])
    assert {each.cgroup for each in records if isinstance(each, ExecRecord)} == ids
    assert len(records) == 2 * 4


def test_moved_and_born_into_a_cgroup(
    watch: Watch, triggers: Triggers, new_cgroup: NewCgroup, here: Path
) -> None:
    """As `docker exec` does it: it moves itself in, then becomes the command; and CLONE_INTO_CGROUP."""
    cgroup = new_cgroup("joined")
    assert watch.source.add_cgroup(cgroup.id, 1) == 0
    code = """
write("before")
with open(args[0] + "/cgroup.procs", "r+") as file: file.write("0")
write("after")
os.execv(args[1], ["leaf", "0"])
"""
    moved = subprocess.Popen([*python(code), cgroup.path, triggers("leaf")], cwd=here)
    assert moved.wait(SECONDS_MAX) == 0
    records = watch.records()
    assert {each.pid for each in records} == {moved.pid}
    # The file it moved itself with was opened before, but written to only after it had moved.
    assert [each.kind for each in records if each.kind not in (Kind.OPEN, Kind.CLOSE)] == [
        Kind.PROCESS,
        Kind.EXEC,
        Kind.EXIT,
    ]
    opened = [each.path for each in records if each.kind == Kind.OPEN]  # type: ignore[attr-defined]
    assert f"{here}/after" in opened
    assert f"{here}/before" not in opened

    subprocess.run([triggers("spawn"), "clone3", "7", triggers("leaf"), cgroup.path], check=True)
    records = watch.records()
    assert [each.kind for each in records] == [Kind.FORK, Kind.EXEC, Kind.EXIT] * 7
    assert list(watch.source.members()) == []


def test_leaving_the_cgroup_is_no_way_out(watch: Watch, new_cgroup: NewCgroup, here: Path) -> None:
    cgroup = new_cgroup("left")
    root = cgroup.path.parent
    assert watch.source.add_cgroup(cgroup.id, 1) == 0
    code = """
with open(args[0] + "/cgroup.procs", "r+") as file: file.write("0")
with open(args[1] + "/cgroup.procs", "r+") as file: file.write("0")
if os.fork() == 0:
    write("child")
    os._exit(0)
os.wait()
"""
    subprocess.run([*python(code), cgroup.path, root], cwd=here, check=True)
    records = watch.records()
    (fork,) = [each for each in records if isinstance(each, ForkRecord)]
    assert [each.path for each in records if each.kind == Kind.OPEN and each.pid == fork.pid] == [  # type: ignore[attr-defined]
        f"{here}/child"
    ]


# ---- several at once


def test_two_sources_see_only_their_own(watch: Watch, triggers: Triggers, here: Path) -> None:
    other_source = new_source()
    try:
        other = Watch(other_source, triggers, scope=7)
        code = "for i in range(int(args[1])): write(args[0] + str(i))\nos.spawnv(0, '/bin/true', ['true'])"
        first = Gated(triggers("gate"), [*python(code), "a", "13"], cwd=here)
        second = Gated(triggers("gate"), [*python(code), "b", "17"], cwd=here)
        try:
            assert watch.source.add_process(Wanted(first.pid, silent=True), watch.scope) == 1
            assert other.source.add_process(Wanted(second.pid, silent=True), other.scope) == 1
            first.go()
            second.go()
        finally:
            first.end()
            second.end()
        for each, pid, letter, count in ((watch, first.pid, "a", 13), (other, second.pid, "b", 17)):
            records = each.records()
            assert [r.path for r in records if r.kind == Kind.OPEN] == [  # type: ignore[attr-defined]
                f"{here}/{letter}{i}" for i in range(count)
            ]
            assert kinds(records, Kind.EXIT)[-1] == pid
            assert len(records) == 2 + 3 + 2 * count
    finally:
        other_source.close()


def test_two_scopes_of_one_source(watch: Watch, triggers: Triggers, source: ProbeSource) -> None:
    gates = [Gated(triggers("gate"), [triggers("leaf"), str(i)]) for i in range(2)]
    try:
        for scope, each in enumerate(gates, 3):
            assert source.add_process(Wanted(each.pid, silent=True), scope) == 1
        for each in gates:
            each.go()
    finally:
        for each in gates:
            each.end()
    assert sorted((each.pid, each.scope) for each in watch.decode(source.drain())) == sorted(
        [(gates[0].pid, 3), (gates[1].pid, 4)] * 2
    )


def test_inherited_by_a_process_with_a_new_session_on_a_socket(watch: Watch, here: Path) -> None:
    """A shell with a socket for its input, as a reverse shell has it."""
    left, right = socket.socketpair()
    with left, right:
        right.sendall(b"echo text > file\n")
        right.shutdown(socket.SHUT_WR)
        run = watch.run("/bin/sh", stdin=left, cwd=here, start_new_session=True)
    assert [each.path for each in run.opens] == [f"{here}/file"]
