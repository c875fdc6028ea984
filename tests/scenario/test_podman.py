"""Podman: `attach podman:NAME`, through its service and through its program."""

from __future__ import annotations

import pytest

from .attached import attach, containers, end, programs
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


def test_a_wrong_name(rubicon: Rubicon, podman: Podman) -> None:
    podman.run("web", "sleep", "1000")
    done = rubicon.do("attach", "podman:wep", env=podman.environment | rubicon.environment)
    assert done.returncode == 2
    assert "podman has no container wep; near matches: web" in done.stderr
