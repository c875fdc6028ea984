"""containerd, and pods in it; each started by the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .attached import attach, containers, end, programs
from .driver import Events, Rubicon, until
from .runtimes import Containerd

POD = "12345678-90ab-cdef-1234-567890abcdef"
PAUSE, AGENT, TOOL = (digit * 64 for digit in "abc")


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    containerd = Containerd(tmp_path_factory.mktemp("containerd"))
    try:
        containerd.start()
        yield containerd
    finally:
        containerd.stop()


@pytest.fixture
def containerd(daemon: Containerd) -> Iterator[Containerd]:
    yield daemon
    daemon.remove_all()


def test_a_container_by_id(rubicon: Rubicon, containerd: Containerd) -> None:
    containerd.run("box-1", "sleep", "1000")
    containerd.run("box-2", "sleep", "1000")
    watching = attach(rubicon, containerd.environment, "containerd:box-1")
    containerd.exec("box-1", "touch", "/tmp/by-id")
    containerd.exec("box-2", "touch", "/tmp/by-id")
    events = end(rubicon, watching)
    assert programs(events) == [("touch", "/tmp/by-id")]
    assert containers(events) == {("containerd", "box-1", "box-1")}
    assert {each["user"]["name"] for each in events.of("file_write")} == {"root"}


def start_pod(containerd: Containerd, *names: str) -> None:
    """As the CRI of containerd lays it out for kubelet: annotations, and a cgroup around all of it."""
    notes = {"sandbox-name": "agent-0", "sandbox-namespace": "training", "sandbox-id": PAUSE}
    for container, name in ((PAUSE, ""), (AGENT, "agent"), (TOOL, "tool")):
        if name not in names:
            continue
        own = {"container-type": "sandbox"}
        if name:
            own = {"container-type": "container", "container-name": name, "image-name": "box:1"}
        options = [f"--cgroup=/kubepods/besteffort/pod{POD}/{container}"]
        options += [f"--annotation=io.kubernetes.cri.{key}={value}" for key, value in (notes | own).items()]
        containerd.run(container, "sleep", "1000", options=tuple(options), namespace="k8s.io")


def ran(rubicon: Rubicon) -> list[tuple[str, ...]]:
    """So far: `ctr run --detach` is done before the program runs."""
    return programs(Events(each for each in rubicon.export()[:-1] if each["event"]["kind"] != "alert"))


@pytest.mark.parametrize("word", ["pod:training/agent-0", f"pod:{POD}"])
def test_a_pod(rubicon: Rubicon, containerd: Containerd, word: str) -> None:
    """All that is in it, and what starts in it later."""
    start_pod(containerd, "", "agent")
    watching = attach(rubicon, containerd.environment, word)
    containerd.exec(AGENT, "touch", "/tmp/x", namespace="k8s.io")
    start_pod(containerd, "tool")
    until(lambda: ("sleep", "1000") in ran(rubicon), "its program to run")
    events = end(rubicon, watching)
    assert {("touch", "/tmp/x"), ("sleep", "1000")} == set(programs(events))
    if word == f"pod:{POD}":  # by its cgroup alone: no more is known
        return
    assert containers(events) == {("containerd", PAUSE, ""), ("containerd", AGENT, "agent")}
    facts = {"type": "kubernetes", "namespace": "training", "resource": {"type": "pod", "name": "agent-0"}}
    assert all(each["orchestrator"] == facts for each in events)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("containerd:box-2", "containerd has no container box-2; near matches: box-1"),
        ("pod:training/agent-1", "there is no pod training/agent-1"),
        ("pod:", "there is no pod"),
    ],
)
def test_a_wrong_name(rubicon: Rubicon, containerd: Containerd, word: str, words: str) -> None:
    containerd.run("box-1", "sleep", "1000")
    done = rubicon.do("attach", word, env=containerd.environment | rubicon.environment)
    assert done.returncode == 2
    assert words in done.stderr
