"""Which containers are meant, and what runtimes say of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tracer.targets.container import Container, own_place, user_records
from tracer.targets.docker import container_event
from tracer.targets.follow import CREATED, REMOVED, STARTED, Change, Follower, _containerd_change
from tracer.targets.selection import Selection

RED = Container("a", "docker", labels={"team": "red", "kind": "agent"})


def test_a_selection_wants_all_its_labels() -> None:
    assert Selection(labels=(("team", "red"), ("kind", "agent"))).takes(RED)
    assert not Selection(labels=(("team", "red"), ("kind", "tool"))).takes(RED)
    assert Selection(every=True).takes(Container("b", "docker"))
    assert not Selection().wanted
    assert Selection(labels=(("team", "red"),)).words() == ["label:team=red"]
    assert Selection(every=True).words() == ["all-containers"]


def test_an_event_of_the_api() -> None:
    attributes = {"name": "web", "image": "box:1", "team": "red"}
    event = {"Type": "container", "Action": "create", "Actor": {"ID": "a", "Attributes": attributes}}
    action, container = container_event("docker", event) or ("", RED)
    assert action == "create"
    assert container == Container("a", "docker", "web", "box:1")
    assert container.labels == {"team": "red"}
    assert container_event("docker", {"Action": "create"}) is None
    assert container_event("docker", {}) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not an event",
        b'2026-11-25 02:03:15 +0000 UTC default /tasks/exit {"container_id":"a"}',
        b"2026-11-25 02:03:15 +0000 UTC default /containers/create {torn",
        b'2026-11-25 02:03:15 +0000 UTC moby /containers/create {"id":"a"}',
    ],
)
def test_lines_of_containerd_that_say_nothing(line: bytes) -> None:
    assert _containerd_change(line) is None


def test_lines_of_containerd() -> None:
    line = b'2026-11-25 02:03:15.5 +0000 UTC default /containers/delete {"id":"a"}'
    change = _containerd_change(line)
    assert change is not None
    assert (change.what, change.container.id) == (REMOVED, "a")


class FakeTeller:
    """Fails when it is first asked, then tells what runs and what starts."""

    def __init__(self) -> None:
        self.name = "fake"
        self.asked = 0
        self.ended = threading.Event()

    def running(self) -> Iterator[Change]:
        yield Change(STARTED, Container("a", "docker"))

    def changes(self) -> Iterator[Change]:
        self.asked += 1
        if self.asked == 1:
            raise ConnectionRefusedError
        return self._told()

    def _told(self) -> Iterator[Change]:
        yield Change(CREATED, Container("b", "docker"))
        self.ended.wait()

    def close(self) -> None:
        self.ended.set()


def test_a_runtime_that_falls_silent_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.targets.follow.RETRY_SECONDS", 0.01)
    told: list[str] = []
    notices: list[str] = []
    enough = threading.Event()

    def on_change(change: Change) -> None:
        told.append(change.container.id)
        if change.what == CREATED:
            enough.set()

    follower = Follower(on_change, notices.append, [FakeTeller()])
    follower.start()
    assert enough.wait(10)
    follower.close()
    assert told == ["a", "b"]
    assert [words.split(":")[0] for words in notices] == ["fake does not answer", "fake answers again"]


def test_the_place_of_a_container() -> None:
    """Its own cgroup, whatever it has made below; of version 1 when version 2 has none."""
    both = ["8:pids:/docker/abc\n", "1:name=systemd:/docker/abc\n", "0::/docker/abc/init.scope\n"]
    place = own_place(both, "abc")
    assert place is not None
    assert (place.path, place.version) == ("/docker/abc", 2)
    place = own_place(["8:pids:/docker/abc/x\n", "0::/\n"], "abc")
    assert place is not None
    assert (place.path, place.version) == ("/docker/abc", 1)
    assert own_place(["0::/user.slice\n"], "abc") is None


def test_users_by_the_map_of_their_namespace() -> None:
    passwd = (
        b"root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:\nagain:x:1000:1::/:\nbad:x:none:0\n\xff:x:7:7:::\n"
    )
    container = Container("a", "docker")
    assert [(each["id"], each["name"]) for each in user_records(container, passwd)] == [
        (0, "root"),
        (1000, "agent"),
        (7, "\udcff"),
    ]
    mapped = user_records(container, passwd, [(0, 100000, 500), (1000, 5, 1)])
    assert [(each["id"], each["name"]) for each in mapped] == [
        (100000, "root"),
        (5, "agent"),
        (100007, "\udcff"),
    ]
