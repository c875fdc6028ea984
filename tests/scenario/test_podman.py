"""Podman: `attach podman:NAME`, through its service and through its program."""

from __future__ import annotations

import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .attached import attach, containers, end, is_own_program, programs
from .driver import Rubicon
from .runtimes import PATH, Podman


@pytest.mark.parametrize("way", ["service", "program"])
def test_a_container_by_name(rubicon: Rubicon, podman: Podman, way: str) -> None:
    """The monitor, conmon, is no part of it."""
    container = podman.run("web", "sleep", "1000")
    environment = podman.environment
    if way == "program":
        rubicon.path = f"{podman.program.parent}:{PATH}"
        environment = {}
    watching = attach(rubicon, environment, "podman:web")
    podman.do("exec", "--user", "agent", "web", "touch", "/tmp/x")
    events = end(rubicon, watching)
    assert "0 violations" in watching.err
    assert programs(events) == [("touch", "/tmp/x")]
    assert containers(events) == {("podman", container, "web")}
    (written,) = [each for each in events.of("file_write") if each["file"]["path"] == "/tmp/x"]
    assert written["user"]["name"] == "agent"


@pytest.fixture
def rootless() -> Iterator[Podman]:
    """Of a user to whom pytest's own folders are closed."""
    with tempfile.TemporaryDirectory(prefix="rubicon-test-") as folder:
        Path(folder).chmod(0o755)
        podman = Podman(Path(folder), user=pwd.getpwnam("nobody").pw_uid)
        try:
            podman.start()
            yield podman
        finally:
            podman.stop()


def test_without_root(rubicon: Rubicon, rootless: Podman) -> None:
    """It has no cgroup of its own here; `podman exec` is known by the namespaces that it enters. Users are
    named by the container's own passwd, as the machine counts them.
    """
    container = rootless.run("web", "sleep", "1000")
    watching = attach(rubicon, rootless.environment, "podman:web")
    assert ": 1 processes" in watching.err
    for number in range(3):
        rootless.do("exec", "web", "touch", f"/tmp/x{number}")
    events = end(rubicon, watching)
    assert programs(events) == [("touch", f"/tmp/x{number}") for number in range(3)]
    assert containers(events) == {("podman", container, "web")}
    own = [each for each in events.of("file_write") if is_own_program(each)]
    assert [each["file"]["path"] for each in own] == [f"/tmp/x{number}" for number in range(3)]
    assert {(each["user"]["id"], each["user"]["name"]) for each in own} == {(str(rootless.user), "root")}


def test_a_wrong_name(rubicon: Rubicon, podman: Podman) -> None:
    podman.run("web", "sleep", "1000")
    done = rubicon.do("attach", "podman:wep", env=podman.environment | rubicon.environment)
    assert done.returncode == 2
    assert "podman has no container wep; near matches: web" in done.stderr
