"""scope.h, boundary.bpf.c: real programs that get away from where they were are watched all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers
from tests.kernel.test_scope import NewCgroup, end, running
from tests.kernel.watching import Run, Watch
from tracer.capture import Wanted
from tracer.records import Act, BoundaryRecord, Kind


def programs(run: Run) -> list[str]:
    return [os.path.basename(each.path) for each in run.execs]


def acts(run: Run) -> list[tuple[int, int]]:
    """Those that succeeded, with the first value."""
    return [(each.act, each.value1) for each in run.boundaries if each.result >= 0]


def is_whole(run: Run, here: Path) -> bool:
    """Every process began and ended once, and the last of them made the file."""
    assert [each.path for each in run.opens if each.path == f"{here}/f"] == [f"{here}/f"]
    born = [run.pid, *(each.pid for each in run.forks)]
    return sorted(each.pid for each in run.exits) == sorted(born)


NEWNS, NEWUTS, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x10000000, 0x20000000, 0x40000000


@pytest.mark.parametrize(
    ("line", "ran", "forks", "did"),  # the shell stays where touch closes its output before it ends
    [
        ("setsid touch f", ["setsid", "touch"], 1, []),
        ("setsid --fork sh -c 'touch f; :'", ["setsid", "dash", "touch"], 3, []),
        ("nohup touch f", ["nohup", "touch"], 1, []),
        ("( (touch f; :) & )", ["touch"], 3, []),
        ("( (sleep 0.01; touch f; :) & ) & wait", ["sleep", "touch"], 4, []),
        ("unshare --mount --uts touch f", ["unshare", "touch"], 1, [(Act.UNSHARE, NEWNS | NEWUTS)]),
        ("unshare --pid --fork --kill-child touch f", ["unshare", "touch"], 2, [(Act.UNSHARE, NEWPID)]),
        ("unshare --user -r --net touch f", ["unshare", "touch"], 1, [(Act.UNSHARE, NEWUSER | NEWNET)]),
        ("chroot / touch $PWD/f", ["chroot", "touch"], 1, []),
        ("setpriv --reuid 65534 --clear-groups true; touch f", ["setpriv", "true", "touch"], 2, []),
    ],
)  # fmt: skip
def test_programs(  # noqa: PLR0917  a table with four columns
    watch: Watch, here: Path, line: str, ran: list[str], forks: int, did: list[tuple[int, int]]
) -> None:
    """Sessions, orphans, namespaces, roots and users."""
    run = watch.shell(f"{line}; :", cwd=here)
    assert run.status == 0, run.output
    assert is_whole(run, here)
    assert programs(run) == ran
    assert len(run.forks) == forks
    walls = [each for each in acts(run) if each[0] in (Act.UNSHARE, Act.CLONE, Act.SETNS, Act.CGROUP_MOVE)]
    assert walls == did


@pytest.fixture
def stranger() -> Iterator[int]:
    """Somebody in namespaces of his own."""
    command = ["unshare", "--net", "--uts", "--mount", "sh", "-c", "echo; exec sleep 300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_nsenter(watch: Watch, here: Path, stranger: int) -> None:
    """Into another's namespaces: each is an act that says whose or which, and what it does there is seen."""
    run = watch.shell(f"nsenter --target {stranger} --net --uts --mount --wd={here} touch f; :", cwd=here)
    assert run.status == 0, run.output
    assert is_whole(run, here)
    assert programs(run) == ["nsenter", "touch"]
    entered = [each for each in run.boundaries if each.act == Act.SETNS and each.result >= 0]
    kinds = 0
    for each in entered:
        kinds |= each.value1
        assert each.value2 or each.target.pid == stranger
    assert kinds == NEWNET | NEWUTS | NEWNS
    own = [os.stat(f"/proc/self/ns/{name}").st_ino for name in ("net", "mnt")]
    last = run.execs[-1]
    assert last.ns_net not in own
    assert last.ns_mnt not in own


def test_a_stranger_in_the_network_of_a_container(watch: Watch) -> None:
    """It is said, with its program; who is in its files joins. Of other networks nothing is said."""
    with running(f"call(272, {NEWNET | NEWNS})\nprint(os.getpid(), flush=True)\nsys.stdin.read()\n") as (
        process,
        (first,),
    ):
        assert watch.source.add_process(Wanted(first), watch.scope) == 1
        watch.source.hold_namespaces(first, watch.scope)
        watch.records()
        for kind in ("--net", "--mount"):
            subprocess.run(["nsenter", "--target", str(first), kind, "/bin/true"], check=True)
        subprocess.run(["unshare", "--net", "/bin/true"], check=True)
        records = watch.records()
        end(process)
    entered, *rest = records
    assert isinstance(entered, BoundaryRecord)
    assert (entered.act, entered.pid, entered.path) == (Act.NETWORK_ENTER, first, "/usr/bin/true")
    assert (entered.target.relation, entered.target.comm.rstrip(b"\0")) == (3, b"true")
    assert (rest[0].kind, rest[-1].kind, len({each.pid for each in rest})) == (Kind.EXEC, Kind.EXIT, 1)


def test_the_shell_leaves_the_cgroup(watch: Watch, here: Path, new_cgroup: NewCgroup) -> None:
    other = new_cgroup("other")
    run = watch.shell(f"(echo 0 > {other.path}/cgroup.procs; exec touch f); :", cwd=here)
    assert run.status == 0, run.output
    assert is_whole(run, here)
    (move,) = run.boundaries
    assert (move.act, move.value1, move.pid) == (Act.CGROUP_MOVE, other.id, run.execs[-1].pid)
    assert run.execs[-1].cgroup == other.id


def test_born_below_the_watched_cgroup(watch: Watch, triggers: Triggers, new_cgroup: NewCgroup) -> None:
    """CLONE_INTO_CGROUP to one that is inside, and no cgroup at all."""
    outer = new_cgroup("outer")
    inner = new_cgroup("outer/inner")
    assert watch.source.add_cgroup(outer.id, watch.scope) == 0
    command = ["sh", "-c", 'echo 0 > "$0/cgroup.procs"; shift 0; exec "$@"', outer.path]
    for arguments in ((inner.path,), ()):
        spawn = [triggers("spawn"), "clone3", "5", triggers("leaf"), *arguments]
        assert subprocess.run([*command, *spawn], check=False).returncode == 0
    records = watch.records()
    assert not [each for each in records if isinstance(each, BoundaryRecord)]
    assert len([each for each in records if each.kind == Kind.FORK]) == 10
