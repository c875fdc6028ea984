"""`--label` and `--all-containers`: containers that start and stop while Rubicon runs."""

from __future__ import annotations

import os
from pathlib import Path

from .attached import attach, containers, end, programs
from .driver import Events, Rubicon, until
from .runtimes import Containerd, Docker, Podman

CONTAINERS = 13


def test_by_label(rubicon: Rubicon, docker: Docker) -> None:
    """One that runs, and those that start; from their first program, with their names and users."""
    before = docker.run("before", "sleep", "1000", options=("--label", "team=red"))
    docker.run("other", "sleep", "1000", options=("--label", "team=blue"))
    watching = attach(rubicon, docker.environment, "--label", "team=red")
    docker.do("exec", "before", "touch", "/tmp/x")
    docker.do("exec", "other", "touch", "/tmp/x")
    ids = {("docker", before, "before")}
    for number in range(3):
        name = f"short{number}"
        created = docker.do(
            "create", "--network", "none", "--label", "team=red", "--user", "agent", "--name", name,
            "box:1", "touch", f"/tmp/{name}",
        )  # fmt: skip
        docker.do("start", "--attach", name)
        ids.add(("docker", created, name))
    docker.run("stranger", "true")
    events = end(rubicon, watching)
    docker.remove_all()
    assert programs(events) == [("touch", "/tmp/x"), *(("touch", f"/tmp/short{n}") for n in range(3))]
    assert containers(events) == ids
    written = [each for each in events.of("file_write") if each["file"]["path"].startswith("/tmp/short")]
    assert {each["user"]["name"] for each in written} == {"agent"}
    assert {each["rubicon"]["target"] for each in written} == {f"docker:short{n}" for n in range(3)}


def test_every_container(rubicon: Rubicon, docker: Docker) -> None:
    """However short it lives. Nothing is left of it in the engine. Those of others are not looked at."""
    watching = attach(rubicon, docker.environment, "--all-containers")
    descriptors = Path(f"/proc/{watching.pid}/fd")
    threads = Path(f"/proc/{watching.pid}/task")
    held = len(os.listdir(descriptors)), len(os.listdir(threads))
    names = [f"c{os.getpid()}-{number}" for number in range(CONTAINERS)]
    for name in names:
        docker.do("run", "--rm", "--network", "none", "--name", name, "box:1", "touch", f"/tmp/{name}")
    until(lambda: len(os.listdir(descriptors)) <= held[0], "descriptors to be closed")
    assert len(os.listdir(threads)) <= held[1]
    events = Events(each for each in end(rubicon, watching) if each["container"].get("name") in names)
    assert programs(events) == [("touch", f"/tmp/{name}") for name in names]
    assert {name for _runtime, _id, name in containers(events)} == set(names)


def told(rubicon: Rubicon) -> list[str]:
    """The ids of the containers that the trace tells of."""
    return [each["container"]["id"] for each in rubicon.export()[:-1] if "container" in each]


def test_podman(rubicon: Rubicon, podman: Podman) -> None:
    """It may tell of a container that runs already: that is said, and it is watched from there on."""
    watching = attach(rubicon, podman.environment, "--label", "team=red")
    container = podman.run("web", "sleep", "1000", options=("--label", "team=red"))
    podman.run("other", "sleep", "1000")
    until(lambda: container in "".join(told(rubicon)), "the container to be known")
    podman.do("exec", "web", "touch", "/tmp/x")
    podman.do("exec", "other", "touch", "/tmp/y")
    events = end(rubicon, watching)
    seen = programs(events)
    assert seen == [("sleep", "1000"), ("touch", "/tmp/x")] or "podman:web was told of late" in watching.err
    assert seen[-1] == ("touch", "/tmp/x")
    assert containers(events) == {("podman", container, "web")}


def test_containerd(rubicon: Rubicon, containerd: Containerd) -> None:
    watching = attach(rubicon, containerd.environment, "--label", "team=red")
    containerd.run("box-1", "sleep", "1000", options=("--label", "team=red"))
    containerd.run("box-2", "sleep", "1000")
    containerd.exec("box-1", "touch", "/tmp/x")
    until(lambda: "box-1" in told(rubicon), "the container to be known")
    containerd.exec("box-1", "touch", "/tmp/y")
    events = end(rubicon, watching)
    assert containers(events) == {("containerd", "box-1", "box-1")}


def test_nothing_to_attach_to(rubicon: Rubicon) -> None:
    done = rubicon.do("attach")
    assert done.returncode == 2
    assert "nothing to attach to" in done.stderr
    assert rubicon.do("attach", "--label", "x").returncode == 2
