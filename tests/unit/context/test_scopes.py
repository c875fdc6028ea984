"""Which container and which target an event belongs to."""

from __future__ import annotations

import pytest

from tests.records import SESSION, execve, fork, leave, made_cgroup, opened, snapshot
from tracer.cgroup_names import container_in, pod_uid
from tracer.context import Context
from tracer.events import Container, Event
from tracer.records import Flag, Record

ID = "ab" * 32
WEB = {"type": "container", "id": ID, "runtime": "docker", "name": "web", "image": "box:1"}
SCOPE = {"type": "scope", "scope": 1, "target": "docker:web", "container": ID}


def learned(*records: dict[str, object]) -> Context:
    context = Context(SESSION)
    assert context.learn(records) == 0
    return context


def event_of(context: Context, record: Record) -> Event:
    event = context.event(record)
    assert event is not None
    return event


def test_the_container_and_the_target_of_a_scope() -> None:
    context = learned(SCOPE, WEB)
    event = event_of(context, execve(100, "/bin/sh"))
    assert event.container == Container(ID, "docker", "web", "box:1")
    assert event.target == "docker:web"
    elsewhere = event_of(context, execve(101, "/bin/sh", scope=2))
    assert (elsewhere.container, elsewhere.target) == (None, "")


def test_a_container_that_was_found() -> None:
    """The path of its cgroup has its id and its runtime; the rest comes when the runtime says so."""
    context = Context(SESSION)
    assert context.event(made_cgroup(70000, f"/docker/{ID}")) is None
    event = event_of(context, execve(100, "/bin/sh", scope=70000))
    assert (event.container, event.target, event.sequence) == (Container(ID, "docker"), f"docker:{ID}", 1)
    assert context.learn([WEB]) == 0
    event = event_of(context, execve(100, "/bin/sh", scope=70000))
    assert event.container == Container(ID, "docker", "web", "box:1")
    assert event.target == "docker:web"


def test_users_are_the_containers_own() -> None:
    context = learned(
        SCOPE,
        WEB,
        {"type": "user", "id": 1000, "name": "ada"},
        {"type": "user", "id": 1001, "name": "eve"},
        {"type": "user", "id": 1000, "name": "agent", "container": ID},
    )
    users = {
        (scope, uid): event_of(context, execve(100, "/bin/sh", uid=uid, scope=scope)).process.user_name
        for scope in (1, 2)
        for uid in (1000, 1001)
    }
    assert users == {(1, 1000): "agent", (1, 1001): "", (2, 1000): "ada", (2, 1001): "eve"}


def test_who_builds_the_container_does_so_until_its_first_program() -> None:
    """The runtime comes in from outside; what it forks is the runtime, too."""
    context = learned(SCOPE, WEB)
    joined = int(Flag.JOINED)
    records = [
        snapshot(100, "/usr/sbin/runc", flags=joined),
        fork(101, 100),
        opened(101, "/proc/self/attr/exec"),
        execve(101, "/bin/sh"),
        opened(101, "/x", time_ns=10**12),
        fork(102, 101),
        snapshot(200, "/bin/was-there-before"),
    ]
    setting_up = [event_of(context, each).process.setting_up for each in records]
    assert setting_up == [True, True, True, False, False, False, False]


def test_runc_that_runs_a_copy_of_itself_goes_on_building() -> None:
    """In the namespaces it came with; a program of the container that is called so is one."""
    context = learned(SCOPE, WEB)
    joined = int(Flag.JOINED)
    records = [
        snapshot(100, "/usr/sbin/runc", flags=joined, ns_mnt=1),
        execve(100, "/", 101 * 10**9, "runc", "init", ns_mnt=1),
        execve(100, "/init", 102 * 10**9, "sh", "init", ns_mnt=2),
        execve(100, "/", 103 * 10**9, "runc", "init", ns_mnt=2),
    ]
    assert [event_of(context, each).process.setting_up for each in records] == [True, True, False, False]


def test_who_joins_what_is_no_container_is_watched_as_any() -> None:
    context = learned({"type": "scope", "scope": 1, "target": "cgroup:/box"})
    joined = snapshot(100, "/bin/sh", flags=int(Flag.JOINED))
    assert not event_of(context, joined).process.setting_up


@pytest.mark.parametrize(
    "record",
    [{"type": "scope"}, {"type": "scope", "scope": 1, "target": 7}, {"type": "container", "id": 3}],
)
def test_records_that_are_none(record: dict[str, object]) -> None:
    assert Context(SESSION).learn([record]) == 1


POD = "12345678-90ab-cdef-1234-567890abcdef"


@pytest.mark.parametrize(
    ("path", "runtime", "container"),
    [
        (f"/docker/{ID}", "docker", ID),
        (f"/docker/{ID}/init.scope", "docker", ID),
        (f"/system.slice/docker-{ID}.scope", "docker", ID),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman", ID),
        (f"/libpod_parent/libpod-{ID}", "podman", ID),
        (f"/machine.slice/libpod-conmon-{ID}.scope", "", ""),
        (f"/kubepods/burstable/pod{POD}/{ID}", "containerd", ID),
        (
            f"/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
            "containerd",
            ID,
        ),
        (f"/somewhere/{ID}", "", ID),
        (f"/docker/{ID[:-1]}", "", ""),
        ("/", "", ""),
    ],
)
def test_what_a_path_tells(path: str, runtime: str, container: str) -> None:
    assert container_in(path) == (runtime, container)
    assert pod_uid(path) == (POD if "kubepods" in path else "")


def test_an_exit_has_the_container() -> None:
    context = learned(SCOPE, WEB)
    event_of(context, execve(100, "/bin/sh"))
    assert event_of(context, leave(100)).container is not None
