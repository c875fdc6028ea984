"""Writes to files that are not allowed, and what `on_violation: kill` does about them, as a user sees it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from .attached import attach, end
from .driver import Rubicon, acts
from .runtimes import Docker


def only(rubicon: Rubicon, *places: Path | str) -> Path:
    return rubicon.policy(f"files: {{on_violation: kill, write: [{', '.join(map(str, places))}]}}\n")


def test_killed_at_the_act(rubicon: Rubicon) -> None:
    """What is allowed goes on; nothing runs after what is not."""
    rules = only(rubicon, rubicon.work / "**")
    script = (
        f"echo x > {rubicon.work}/good; (echo x > {rubicon.folder}/bad; : > {rubicon.work}/after); exit $?"
    )
    done = rubicon.do(
        "run", "--enforce", "--policy", rules, "--trace", rubicon.trace, "--", "sh", "-c", script
    )
    assert done.returncode == 128 + signal.SIGKILL
    assert sorted(path.name for path in rubicon.work.iterdir()) == ["good"]
    assert "ACTION   killed sh[" in done.stderr
    assert "(File change not allowed), before the call returned" in done.stderr
    (action,) = acts(rubicon.export())
    assert action["rubicon"]["action"]["in_kernel"] is True
    assert action["rubicon"]["action"]["latency_ns"] == 0
    (alert,) = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    assert (alert["rubicon"]["answer"], alert["file"]["path"]) == ("kill", f"{rubicon.folder}/bad")


def test_a_redirection_of_the_operator_is_no_offence(rubicon: Rubicon) -> None:
    rules = only(rubicon, rubicon.work / "**")
    with open(rubicon.folder / "out", "wb") as out:
        argv = ("run", "--enforce", "--policy", rules, "--", "sh", "-c", "echo x; exit 3")
        assert rubicon.do(*argv, stdout=out).returncode == 3
    assert (rubicon.folder / "out").read_text() == "x\n"


@pytest.mark.parametrize("found", [False, True])
def test_the_runtime_that_builds_a_container_is_let_be(rubicon: Rubicon, docker: Docker, found: bool) -> None:
    """It writes to many places, and runs itself once more; who runs in the container is killed at the act."""
    rules = rubicon.policy(
        "on_violation: kill\nfiles: {write: [/tmp/**], mounts: [/**]}\nprocess: {exec: [/bin/busybox]}\n",
    )
    options = ["--enforce", "--policy", str(rules)]
    if found:
        watching = attach(rubicon, docker.environment, "--all-containers", *options)
    docker.run("web", "sleep", "1000")
    if not found:
        watching = attach(rubicon, docker.environment, "docker:web", *options)
    docker.do("exec", "web", "touch", "/tmp/good")
    done = docker.ask("exec", "web", "sh", "-c", "echo x > /bin/bad; touch /tmp/after")
    assert done.returncode == 128 + signal.SIGKILL
    assert docker.do("exec", "web", "sh", "-c", "echo /tmp/*") == "/tmp/good"
    end(rubicon, watching)
    (action,) = acts(rubicon.export())
    assert (action["event"]["action"], action["process"]["name"]) == ("kill", "sh")
    assert action["rubicon"]["action"]["in_kernel"] is True
