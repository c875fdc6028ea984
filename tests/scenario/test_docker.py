"""Docker: `attach docker:NAME` on a real daemon of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .attached import attach, end, is_own_program, programs
from .driver import Rubicon, until
from .runtimes import Docker


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    docker = Docker(tmp_path_factory.mktemp("docker"))
    try:
        docker.start()
        yield docker
    finally:
        docker.stop()


@pytest.fixture
def docker(daemon: Docker) -> Iterator[Docker]:
    yield daemon
    daemon.remove_all()


def test_a_container_by_name(rubicon: Rubicon, docker: Docker) -> None:
    """What runs in it, with its names and paths, and what `docker exec` starts, from the first program on."""
    script = "sleep 1000 & while read -r line; do touch /tmp/$line; done; wait"
    container = docker.run("web", "sh", "-c", script)
    watching = attach(rubicon, docker.environment, "docker:web")
    for number in range(7):
        docker.do("exec", "--user", "agent", "web", "touch", f"/tmp/exec{number}")
    events = end(rubicon, watching)
    assert "0 violations" in watching.err
    assert programs(events) == [("touch", f"/tmp/exec{number}") for number in range(7)]
    before = [each for each in events if each["event"]["kind"] == "state" and is_own_program(each)]
    assert sorted(each["process"]["args"][0] for each in before) == ["sh", "sleep"]
    facts = {"id": container, "name": "web", "runtime": "docker", "image": {"name": "box:1"}}
    assert all(each["container"] == facts for each in events)
    assert {each["rubicon"]["target"] for each in events} == {"docker:web"}
    written = events.of("file_write")
    own = [each for each in written if is_own_program(each)]
    assert [each["file"]["path"] for each in own] == [f"/tmp/exec{number}" for number in range(7)]
    assert {each["user"]["name"] for each in own} == {"agent"}
    assert all(each["file"]["inode"] and each["file"]["device"] for each in own)


def test_a_replay_needs_no_docker(rubicon: Rubicon, docker: Docker) -> None:
    docker.run("web", "sleep", "1000")
    watching = attach(rubicon, docker.environment, "docker:web")
    docker.do("exec", "web", "true")
    before = end(rubicon, watching)
    docker.remove_all()
    assert [each["container"] for each in rubicon.events()] == [each["container"] for each in before]
    rules = rubicon.folder / "rule.yml"
    rules.write_text(
        "title: true in web\nid: 2f0c9f86-2a39-4b3f-9a3e-0d8a4f8f9e5b\nlevel: high\n"
        "logsource: {category: process_creation}\n"
        "detection:\n  it: {Image|endswith: /busybox, container.name: web, CommandLine: 'true'}\n"
        "  condition: it\n"
    )
    done = rubicon.do("replay", rubicon.trace, "--rules", rules)
    assert "true in web" in done.stdout, done.stderr


def test_a_container_that_restarts_stays_watched(rubicon: Rubicon, docker: Docker) -> None:
    docker.run("web", "sh", "-c", "true; exec sleep 1000")
    watching = attach(rubicon, docker.environment, "docker:web")
    docker.do("restart", "--time", "0", "web")
    docker.do("exec", "web", "id")
    events = end(rubicon, watching)
    assert programs(events) == [("sh", "-c", "true; exec sleep 1000"), ("sleep", "1000"), ("id",)]
    assert {each["container"]["name"] for each in events} == {"web"}


def test_two_containers_at_once(rubicon: Rubicon, docker: Docker) -> None:
    """Each event has its own container; a third is not watched."""
    for name in ("one", "two", "three"):
        docker.run(name, "sleep", "1000")
    watching = attach(rubicon, docker.environment, "docker:one", "docker:two")
    for name in ("one", "two", "three"):
        docker.do("exec", name, "touch", f"/tmp/{name}")
    events = end(rubicon, watching)
    own = [each for each in events.of("file_write") if is_own_program(each)]
    assert [(each["container"]["name"], each["file"]["path"]) for each in own] == [
        ("one", "/tmp/one"),
        ("two", "/tmp/two"),
    ]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("docker:wep", "docker has no container wep; near matches: web"),
        ("docker:old", "the container old does not run; near matches: web"),
        ("docker:", "has no container"),
    ],
)
def test_a_wrong_name(rubicon: Rubicon, docker: Docker, word: str, words: str) -> None:
    docker.run("web", "sleep", "1000")
    docker.run("old", "true")
    until(lambda: docker.do("inspect", "--format", "{{.State.Running}}", "old") == "false", "it to end")
    done = rubicon.do("attach", word, env=rubicon.environment | {"DOCKER_HOST": f"unix://{docker.socket}"})
    assert done.returncode == 2
    assert words in done.stderr


def test_no_docker(rubicon: Rubicon) -> None:
    environment = rubicon.environment | {"DOCKER_HOST": f"unix://{rubicon.folder}/no.sock"}
    done = rubicon.do("attach", "docker:web", env=environment)
    assert done.returncode == 2
    assert "docker does not answer" in done.stderr
