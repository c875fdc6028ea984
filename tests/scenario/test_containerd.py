"""containerd, and pods in it; each started by the test."""

from __future__ import annotations

import pytest

from .attached import attach, containers, end, programs
from .driver import Events, Rubicon, until
from .runtimes import Containerd, Pod

UID = "12345678-90ab-cdef-1234-567890abcdef"


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


@pytest.fixture
def pod(containerd: Containerd) -> Pod:
    pod = Pod(containerd, "agent-0", "training", UID)
    pod.start()
    return pod


def ran(rubicon: Rubicon) -> list[tuple[str, ...]]:
    """So far: `ctr run --detach` is done before the program runs."""
    return programs(Events(each for each in rubicon.export()[:-1] if each["event"]["kind"] != "alert"))


WAYS = {"cri": "pod:training/agent-0", "bundles": "pod:training/agent-0", "cgroup": f"pod:{UID}"}


@pytest.mark.parametrize("way", WAYS)
def test_a_pod(rubicon: Rubicon, containerd: Containerd, pod: Pod, way: str) -> None:
    """All that is in it, and what starts in it later: asked of CRI, found where that does not answer, and by
    the names of cgroups alone.
    """
    agent = pod.run("agent", "/bin/sleep", "1000")
    environment = containerd.environment
    if way == "bundles":
        environment = {**environment, "CONTAINER_RUNTIME_ENDPOINT": "/nowhere"}
    watching = attach(rubicon, environment, WAYS[way])
    pod.exec(agent, "/bin/touch", "/tmp/x")
    pod.run("tool", "/bin/sleep", "2000")
    until(lambda: ("/bin/sleep", "2000") in ran(rubicon), "its program to run")
    events = end(rubicon, watching)
    assert {("/bin/touch", "/tmp/x"), ("/bin/sleep", "2000")} == set(programs(events))
    if way == "cgroup":  # no more is known
        return
    assert containers(events) == {("containerd", pod.id, ""), ("containerd", agent, "agent")}
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
