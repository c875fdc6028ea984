"""Several targets in one session: what is done to one of them is done to no other."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from .attached import attach, end
from .conftest import Spawn
from .driver import Rubicon, Started, acts, state, until
from .runtimes import Docker
from .test_actions import leftovers

Shell = subprocess.Popen[bytes]
EXECUTABLES = "process: {on_violation: %s, exec: [sh, dash, sleep]}\n"
CONNECTS = (
    "import socket, sys\n"
    "for line in sys.stdin:\n"
    "    host, port = line.split()\n"
    "    try: socket.create_connection((host, int(port)), 5).close(); print('ok', flush=True)\n"
    "    except OSError as error: print(error.errno, flush=True)\n"
)


def shells(rubicon: Rubicon, spawn: Spawn) -> tuple[Shell, Shell]:
    """Each with a child of its own; they do what they are told by `tell`."""
    script = 'sleep 1000 & while read -r line; do eval "$line"; done'
    first, second = (spawn("sh", "-c", script, cwd=rubicon.work) for _ in range(2))
    for each in (first, second):
        until(lambda each=each: children(each), "the shell to have begun")  # type: ignore[misc]
    return first, second


def children(shell: Shell) -> list[int]:
    return [int(each) for each in Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()]


def tell(shell: Shell, line: str) -> None:
    assert shell.stdin
    shell.stdin.write(line.encode() + b"\n")
    shell.stdin.flush()


def works(rubicon: Rubicon, shell: Shell) -> bool:
    made = rubicon.work / f"made-{shell.pid}"
    tell(shell, f": > {made}")
    until(made.exists, "the shell to do what it is told")
    made.unlink()
    return True


def attached(rubicon: Rubicon, response: str, *both: Shell) -> Started:
    options = ["--no-tui", "--enforce", "--trace", rubicon.trace]
    rules = ["--policy", rubicon.policy(EXECUTABLES % response)]
    started = rubicon.start("attach", *(f"pid:{each.pid}" for each in both), *options, *rules)
    started.says("watching")
    return started


def test_the_one_that_broke_the_rule_stands_still(rubicon: Rubicon, spawn: Spawn) -> None:
    bad, good = shells(rubicon, spawn)
    started = attached(rubicon, "freeze", bad, good)
    tell(bad, "/bin/true")
    started.says(f"ACTION   froze pid:{bad.pid} (")
    assert {state(pid) for pid in (bad.pid, *children(bad))} == {"T"}
    assert works(rubicon, good)
    done = rubicon.do("thaw", rubicon.trace, "--scope", f"pid:{bad.pid}")
    assert (done.returncode, done.stderr) == (0, f"rubicon: thawed pid:{bad.pid}\n")
    assert works(rubicon, bad)
    tell(bad, "/bin/true")  # a second time: it was thawed since
    until(lambda: started.err.count("ACTION   froze pid:") == 2, "the second freeze")
    assert works(rubicon, good)
    assert end_of(started) == 0
    assert works(rubicon, bad)  # at the end of the session nothing stays frozen
    first = acts(rubicon.export())[0]["rubicon"]
    assert (first["scope"], first["target"], first["action"]["result"]) == (1, f"pid:{bad.pid}", "done")
    assert first["action"]["latency_ns"] > 0
    assert leftovers(rubicon) == []


def end_of(started: Started) -> int:
    started.process.terminate()
    return started.end()


def test_a_whole_scope_is_killed_and_no_other(rubicon: Rubicon, spawn: Spawn) -> None:
    bad, good = shells(rubicon, spawn)
    (child,) = children(bad)
    started = attached(rubicon, "kill-scope", bad, good)
    tell(bad, "/bin/true")
    assert bad.wait() == -9
    started.says(f"of pid:{bad.pid} (Program not allowed)")
    assert not Path(f"/proc/{child}").exists() or state(child) == "Z"
    assert works(rubicon, good)
    assert end_of(started) == 0
    kernel, scope = acts(rubicon.export())
    assert (kernel["event"]["action"], kernel["rubicon"]["action"]["in_kernel"]) == ("kill", True)
    assert (scope["event"]["action"], scope["rubicon"]["action"]["in_kernel"]) == ("kill-scope", False)
    assert scope["event"]["type"] == ["end"]
    assert scope["rubicon"]["scope"] == 1


def test_one_process_is_killed_and_no_other(rubicon: Rubicon, spawn: Spawn) -> None:
    bad, good = shells(rubicon, spawn)
    started = attached(rubicon, "kill", bad, good)
    tell(bad, "/bin/true; echo $? > status")
    status = rubicon.work / "status"
    until(lambda: status.exists() and status.read_text() == "137\n", "the shell to tell the status")
    assert works(rubicon, bad)
    assert works(rubicon, good)
    assert end_of(started) == 0


def test_without_enforce_each_says_what_would_have_been_done(rubicon: Rubicon, spawn: Spawn) -> None:
    bad, good = shells(rubicon, spawn)
    rules = rubicon.policy(EXECUTABLES % "kill-scope")
    targets = [f"pid:{each.pid}" for each in (bad, good)]
    started = rubicon.start("attach", *targets, "--no-tui", "--trace", rubicon.trace, "--policy", rules)
    started.says("watching")
    tell(bad, "/bin/true")
    started.says(f"WOULD    would have killed pid:{bad.pid} (Program not allowed): --enforce does it")
    assert works(rubicon, bad)
    assert end_of(started) == 0


def test_one_is_refused_and_no_other(rubicon: Rubicon, spawn: Spawn) -> None:
    """Nor who is not watched."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        bad, good = (spawn("python3", "-c", CONNECTS, stdout=subprocess.PIPE) for _ in range(2))
        rules = rubicon.policy(f'network: {{on_violation: deny, connect: ["127.0.0.1:{port}"]}}\n')
        targets = [f"pid:{each.pid}" for each in (bad, good)]
        options = ["--no-tui", "--enforce", "--trace", rubicon.trace, "--policy", rules]
        started = rubicon.start("attach", *targets, *options)
        started.says("watching")
        assert (answer(bad, "127.0.0.2", port), answer(good, "127.0.0.1", port)) == (b"1\n", b"ok\n")
        socket.create_connection(("127.0.0.1", port)).close()
        with closing(socket.create_server(("127.0.0.2", 0))) as other:
            socket.create_connection(other.getsockname()).close()
        started.says(f"the way to 127.0.0.2 port {port}")
        assert end_of(started) == 0
    (refused,) = acts(rubicon.export())
    assert (refused["rubicon"]["target"], refused["event"]["action"]) == (f"pid:{bad.pid}", "deny")


def answer(program: Shell, host: str, port: int) -> bytes:
    tell(program, f"{host} {port}")
    assert program.stdout
    return program.stdout.readline()


def test_by_hand(rubicon: Rubicon, spawn: Spawn) -> None:
    one, other = shells(rubicon, spawn)
    started = attached(rubicon, "alert", one, other)
    done = rubicon.do("freeze", rubicon.trace, "--scope", f"pid:{one.pid}")
    assert (done.returncode, done.stderr) == (0, f"rubicon: froze pid:{one.pid} (2 processes)\n")
    assert (state(one.pid), works(rubicon, other)) == ("T", True)
    done = rubicon.do("freeze", rubicon.trace)
    assert (done.returncode, done.stderr) == (0, "rubicon: froze all that is watched (2 processes)\n")
    assert (state(one.pid), state(other.pid)) == ("T", "T")
    done = rubicon.do("thaw", rubicon.trace, "--scope", "2")  # by its number
    assert (done.returncode, done.stderr) == (0, f"rubicon: thawed pid:{other.pid}\n")
    assert (state(one.pid), works(rubicon, other)) == ("T", True)
    done = rubicon.do("kill", rubicon.trace, "--scope", f"pid:{one.pid}")
    assert (done.returncode, done.stderr) == (0, f"rubicon: killed 2 processes of pid:{one.pid}\n")
    assert works(rubicon, other)
    done = rubicon.do("kill", rubicon.trace, "--scope", "docker:web")
    assert done.returncode == 1
    assert done.stderr == f"rubicon: docker:web is not watched; there are pid:{other.pid}\n"
    assert end_of(started) == 0
    told = [(each["event"]["action"], each["rubicon"]["target"]) for each in acts(rubicon.export())]
    assert told[:2] == [("freeze", f"pid:{one.pid}"), ("freeze", f"pid:{one.pid} pid:{other.pid}")]


@pytest.mark.parametrize("found", [False, True])
def test_containers(rubicon: Rubicon, docker: Docker, found: bool) -> None:
    """Named at the attach, or found by their runtime when they start."""
    script = "true; exec sleep 1000"
    if found:
        watching = attach(rubicon, docker.environment, "--all-containers")
    for name in ("web", "db"):
        docker.run(name, "sh", "-c", script)
    if not found:
        watching = attach(rubicon, docker.environment, "docker:web", "docker:db")

    def freezes() -> bool:
        done = rubicon.do("freeze", rubicon.trace, "--scope", "docker:web", env=docker.environment)
        return done.returncode == 0 and "froze docker:web (1 cgroup)" in done.stderr

    until(freezes, "the container to be known by its name")
    assert docker.do("exec", "db", "id").startswith("uid=0")
    done = rubicon.do("kill", rubicon.trace, "--scope", "docker:web")
    assert done.stderr == "rubicon: killed 1 process of docker:web\n"
    running = json.loads(docker.do("inspect", "web", "db"))
    assert [each["State"]["Running"] for each in running] == [False, True]
    end(rubicon, watching)
