"""container.bpf.c: cgroups of containers, taken in when they are made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Cgroup, Triggers, cgroup2_mount, new_source
from tests.kernel.watching import Watch
from tracer.capture import FIRST_FOUND_SCOPE
from tracer.capture.probes import ProbeSource
from tracer.records import CgroupRecord, Flag, Kind, Record
from tracer.targets.cgroups import hierarchies

IDS = [f"{number:064x}" for number in range(0xABCDEF, 0xABCDEF + 7)]
Make = Callable[[str], Cgroup]


@pytest.fixture
def own_source() -> Iterator[ProbeSource]:
    """What is awaited stays so: not for the source that other tests share."""
    source = new_source()
    try:
        yield source
    finally:
        source.close()


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes cgroups of the names that containers have, in one of the test's own."""
    mount = cgroup2_mount()
    assert mount is not None
    parent = Cgroup(mount / f"rubicon-test-{os.getpid()}-containers")
    parent.path.mkdir()
    made: list[Cgroup] = []

    def new(name: str) -> Cgroup:
        cgroup = Cgroup(parent.path / name)
        cgroup.path.mkdir()
        made.append(cgroup)
        return cgroup

    try:
        yield new
    finally:
        for each in [*reversed(made), parent]:
            if each.path.exists():
                each.remove()


def enter(cgroup: Path, *command: str | Path) -> None:
    """As a runtime does: into the cgroup, then the program."""
    code = "import os, sys; open(sys.argv[1], 'w').write('0'); os.execv(sys.argv[2], sys.argv[2:])"
    subprocess.run(["/usr/bin/python3", "-I", "-c", code, cgroup / "cgroup.procs", *command], check=True)


def drained(watch: Watch) -> list[Record]:
    """What is there now, of all scopes."""
    watch.source.sweep()
    assert watch.source.losses() == {}
    return watch.decode(watch.source.drain())


def lives(records: list[Record]) -> list[tuple[int, int]]:
    """Kind and scope of the records that are about the life of a process."""
    kinds = (Kind.PROCESS, Kind.FORK, Kind.EXEC, Kind.EXIT)
    return [(each.kind, each.scope) for each in records if each.kind in kinds]


@pytest.mark.short
def test_a_container_that_is_awaited(own_source: ProbeSource, triggers: Triggers, make: Make) -> None:
    """By the names that Docker, Podman, containerd and CRI-O give, plain and by systemd."""
    watch = Watch(own_source, triggers)
    names = [
        IDS[0],
        f"docker-{IDS[1]}.scope",
        f"libpod-{IDS[2]}.scope",
        f"cri-containerd-{IDS[3]}.scope",
        "web",
    ]
    for scope, awaited in enumerate([*IDS[:4], "web"], 3):
        own_source.await_container(awaited, scope)
    cgroups = [make(name) for name in names]
    made = drained(watch)
    assert [
        (each.scope, each.cgroup, each.version, each.name) for each in made if isinstance(each, CgroupRecord)
    ] == [
        (scope, cgroup.id, 2, f"/{cgroup.path.relative_to(cgroup.path.parents[1])}")
        for scope, cgroup in enumerate(cgroups, 3)
    ]
    assert len(made) == 5
    for cgroup in cgroups:
        enter(cgroup.path, "/bin/true")
    records = drained(watch)
    assert lives(records) == [
        (kind, scope) for scope in range(3, 8) for kind in (Kind.PROCESS, Kind.EXEC, Kind.EXIT)
    ]
    assert all(each.flags & Flag.JOINED for each in records if each.kind == Kind.PROCESS)


def test_others_are_not_taken_in(own_source: ProbeSource, triggers: Triggers, make: Make) -> None:
    """The monitor of one that is awaited, names that are nearly the same, one that is no more awaited."""
    watch = Watch(own_source, triggers)
    for awaited in (*IDS[:3], "web"):
        own_source.await_container(awaited, 3)
    own_source.forget_container(IDS[1])
    for name in (f"libpod-conmon-{IDS[0]}.scope", IDS[1], IDS[4], "webs", "we", f"{IDS[2][:-1]}x"):
        enter(make(name).path, "/bin/true")
    assert drained(watch) == []


def test_every_container(own_source: ProbeSource, triggers: Triggers, make: Make) -> None:
    """Each has a scope of its own, and keeps it when it starts again; what is no container is not watched."""
    watch = Watch(own_source, triggers)
    own_source.await_all_containers()
    for name in (IDS[0], "web", f"docker-{IDS[1]}.scope", IDS[0]):
        cgroup = make(name)
        enter(cgroup.path, "/bin/true")
        cgroup.remove()
    first, second = FIRST_FOUND_SCOPE, FIRST_FOUND_SCOPE + 1
    assert lives(drained(watch)) == [
        (kind, scope) for scope in (first, second, first) for kind in (Kind.PROCESS, Kind.EXEC, Kind.EXIT)
    ]


def test_a_cgroup_that_is_gone_leaves_nothing(own_source: ProbeSource, make: Make) -> None:
    own_source.await_all_containers()
    for number in range(101):
        make(f"{number:064x}").remove()
    assert own_source.scope_cgroups() == {}


def test_a_cgroup_of_version_1(own_source: ProbeSource, triggers: Triggers) -> None:
    """A container without a cgroup of version 2: the pids controller's tells who is in it."""
    root = hierarchies().get(1)
    if root is None:
        pytest.skip("this machine has no pids controller of version 1")
    watch = Watch(own_source, triggers)
    box = root / f"rubicon-test-{os.getpid()}"
    inner = box / IDS[0]
    inner.mkdir(parents=True)
    try:
        assert own_source.add_cgroup(box.stat().st_ino, 3, version=1) == 0
        enter(inner, "/bin/true")
        assert lives(drained(watch)) == [(kind, 3) for kind in (Kind.PROCESS, Kind.EXEC, Kind.EXIT)]
        subprocess.run(["/bin/true"], check=True)
        assert drained(watch) == []
        inner.rmdir()
        own_source.await_container(IDS[0], 4)
        inner.mkdir()
        enter(inner, "/bin/true")
        records = drained(watch)
        assert [each.version for each in records if isinstance(each, CgroupRecord)] == [1]
        assert lives(records) == [(kind, 4) for kind in (Kind.PROCESS, Kind.EXEC, Kind.EXIT)]
    finally:
        inner.rmdir()
        box.rmdir()
    assert own_source.scope_cgroups() == {}
