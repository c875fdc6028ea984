"""Docker: `attach docker:NAME` on a real daemon of the tests' own."""

from __future__ import annotations

import os
import subprocess

import pytest

from tracer.targets.cgroups import mount_point

from .attached import attach, end, is_own_program, programs
from .driver import Events, Rubicon, acts, until
from .runtimes import Docker


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


def test_nobody_leaves_a_container(rubicon: Rubicon, docker: Docker) -> None:
    """Out of its cgroup, into the machine's namespaces, into new ones, an orphan: seen, and said."""
    root = mount_point()
    if root is None:
        pytest.skip("this machine has no cgroup v2 hierarchy")
    options = [
        "--pid=host",
        "--cgroupns=host",
        f"--volume={root}:/cgroups",
        "--security-opt=seccomp=unconfined",
    ]
    options += ["--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=apparmor=unconfined"]
    container = docker.run("web", "sleep", "1000", options=tuple(options))
    watching = attach(rubicon, docker.environment, "docker:web")
    acts = [
        "echo 0 > /cgroups/cgroup.procs",
        "/bin/true left-the-cgroup",
        f"/bin/nsenter -t {os.getpid()} -m /bin/true in-the-mounts-of-the-machine",
        "/bin/unshare -n /bin/true in-a-network-of-its-own",
        "(/bin/setsid /bin/sh -c '/bin/true orphan' &)",
    ]
    docker.do("exec", "web", "/bin/sh", "-c", "; ".join(acts))
    until(lambda: "orphan" in str(rubicon.export()), "the orphan to be seen")
    events = end(rubicon, watching)
    words = {args[1] for args in programs(events) if args[0] == "/bin/true"}
    assert words == {
        "left-the-cgroup",
        "in-the-mounts-of-the-machine",
        "in-a-network-of-its-own",
        "orphan",
    }
    own = [each for each in events if is_own_program(each)]
    assert {each["container"]["id"] for each in own} == {container}
    actions = {each["event"]["action"] for each in own}
    assert {"cgroup_move", "setns", "unshare"} <= actions


def test_who_enters_a_container_from_outside(rubicon: Rubicon, docker: Docker) -> None:
    """By nsenter, into its processes or only its files; who is in its network alone stays a stranger."""
    container = docker.run("web", "sleep", "1000")
    watching = attach(rubicon, docker.environment, "docker:web")
    enter(docker, "web")
    events = end(rubicon, watching)
    assert "0 violations" in watching.err
    assert programs(events) == [("/bin/sh", "-c", f"echo >/tmp/{name}") for name in ENTERED]
    check_entered(events, container)


def test_who_enters_a_container_that_started_under_watch(rubicon: Rubicon, docker: Docker) -> None:
    watching = attach(rubicon, docker.environment, "--label", "team=red", "--all-containers")
    container = docker.run("web", "sleep", "1000", options=("--label", "team=red"))
    until(lambda: "/sleep" in str(rubicon.export()), "the container to be known")
    enter(docker, "web")
    check_entered(end(rubicon, watching), container)


ENTERED = ("2--mount", "1--mount")


def enter(docker: Docker, name: str) -> None:
    """From outside, by namespaces; what is in its network alone writes in the files of the machine."""
    pid = docker.do("inspect", "--format", "{{.State.Pid}}", name)
    for kinds in (("--mount", "--pid"), ("--mount",), ("--net",)):
        command = ["nsenter", "--target", pid, *kinds, "/bin/sh", "-c", f"echo >/tmp/{len(kinds)}{kinds[0]}"]
        subprocess.run(command, check=True)
    os.unlink("/tmp/1--net")


def check_entered(events: Events, container: str) -> None:
    own = Events(each for each in events if is_own_program(each) and each["event"]["kind"] == "event")
    assert own.of("file_write").paths == [f"/tmp/{name}" for name in ENTERED]
    assert {each["container"]["id"] for each in own} == {container}
    (stranger,) = own.of("network_enter")
    assert stranger["rubicon"]["boundary"]["path"] == os.path.realpath("/bin/sh")
    assert stranger["rubicon"]["boundary"]["target"]["relation"] == "outside"
    assert stranger["rubicon"]["boundary"]["target"]["name"] == "sh"
    assert (stranger["process"]["name"], stranger["event"]["outcome"]) == ("sleep", "success")


# ---- stopped


def status_of(docker: Docker, name: str) -> str:
    return docker.do("inspect", "--format", "{{.State.Status}}", name).strip()


def test_frozen_thawed_and_killed(rubicon: Rubicon, docker: Docker) -> None:
    """As one, with what `docker exec` started; the container beside it goes on."""
    docker.run("web", "sh", "-c", "sleep 1000 & wait")
    docker.run("beside", "sleep", "1000")
    watching = attach(rubicon, docker.environment, "docker:web")
    docker.do("exec", "--detach", "web", "sleep", "2000")
    assert rubicon.do("freeze", rubicon.trace).stderr == "rubicon: froze all that is watched (1 cgroup)\n"
    assert rubicon.do("thaw", rubicon.trace).returncode == 0
    assert rubicon.do("freeze", rubicon.trace).returncode == 0
    done = rubicon.do("kill", rubicon.trace)
    assert (done.returncode, done.stderr) == (0, "rubicon: killed 3 processes\n")
    until(lambda: status_of(docker, "web") == "exited", "the container to end")
    assert status_of(docker, "beside") == "running"
    watching.process.terminate()
    assert watching.end() == 0


def test_a_policy_acts_in_a_container(rubicon: Rubicon, docker: Docker) -> None:
    """A program that is not allowed dies before it runs, a connection is refused; beside it nothing is."""
    docker.run("web", "sleep", "1000")
    docker.run("beside", "sleep", "1000")
    rules = rubicon.folder / "policy.yaml"
    rules.write_text(
        "network: {on_violation: deny, connect: []}\nprocess: {on_violation: kill, exec: [/bin/busybox]}\n"
    )
    watching = attach(rubicon, docker.environment, "docker:web", "--enforce", "--policy", str(rules))
    lines = "/bin/busybox nc 127.0.0.1 9 2>&1; /bin/busybox cp /bin/busybox /tmp/ls; /tmp/ls /; echo $?"
    inside = docker.do("exec", "web", "sh", "-c", lines)
    outside = docker.do("exec", "beside", "sh", "-c", lines)
    end(rubicon, watching)
    assert "Operation not permitted" in inside
    assert inside.endswith("137")
    assert "Connection refused" in outside
    assert outside.endswith("0")
    told = acts(rubicon.export())
    assert [each["event"]["action"] for each in told] == ["deny", "kill"]
    assert all(each["rubicon"]["action"]["in_kernel"] for each in told)
