"""What is done about a violation, as a user sees it: kill and freeze, by policy and by hand."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from pathlib import Path

from .conftest import Spawn
from .driver import MAIN, ROOT, Rubicon, Started, acts, state, until

NOBODY = pwd.getpwnam("nobody")
SHELL_ONLY = "name: shells\nprocess: {on_violation: %s, exec: [sh, dash]}\n"


def leftovers(rubicon: Rubicon) -> list[str]:
    """What a session leaves beside its trace."""
    beside = [path.name for path in rubicon.folder.glob("the.trace.*")]
    return beside + [path.name for path in rubicon.traces.glob("*.frozen")]


# ---- kill


def test_without_enforce_it_is_only_told(rubicon: Rubicon) -> None:
    rules = rubicon.policy(SHELL_ONLY % "kill")
    done = rubicon.do(
        "run", "--policy", rules, "--trace", rubicon.trace, "--", "sh", "-c", "/bin/true; /bin/true; exit 7"
    )
    assert done.returncode == 7
    assert done.stderr.count("WOULD    would have killed true[") == 2
    told = acts(rubicon.export())
    assert [each["rubicon"]["action"]["result"] for each in told] == ["would", "would"]
    assert {each["event"]["action"] for each in told} == {"kill"}
    assert rubicon.verify() == (0, "intact")


def test_a_program_that_is_not_allowed_is_killed(rubicon: Rubicon) -> None:
    """It alone, told on stderr, as JSON lines, in the trace; and a replay kills nobody."""
    rules = rubicon.policy(SHELL_ONLY % "kill")
    lines = rubicon.folder / "lines"
    command = ["sh", "-c", "tail -f /dev/null; exit $?"]
    done = rubicon.do(
        "run", "--enforce", "--policy", rules, "--trace", rubicon.trace, "--jsonl", lines, "--", *command
    )
    assert done.returncode == 128 + signal.SIGKILL
    assert "Program not allowed: tail (pid " in done.stderr
    assert "ACTION   killed tail[" in done.stderr
    assert done.stderr.index("ran tail") < done.stderr.index("killed tail")

    (action,) = acts(rubicon.export())
    assert action["event"]["kind"] == "event"
    assert action["event"]["action"] == "kill"
    assert action["event"]["outcome"] == "success"
    assert action["rule"]["id"] == "process.exec"
    assert action["process"]["name"] == "tail"
    (alert,) = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    assert action["rubicon"]["action"]["event"] == alert["event"]["sequence"]
    assert action["process"]["entity_id"] == alert["process"]["entity_id"]
    assert action["rubicon"]["action"]["in_kernel"] is True  # it did not get to run
    assert action["rubicon"]["action"]["latency_ns"] == 0
    assert action in [json.loads(line) for line in lines.read_text().splitlines()]

    replayed = rubicon.do("replay", rubicon.trace, "--policy", rules)
    assert "then ACTION   killed tail[" in replayed.stdout
    assert leftovers(rubicon) == []


def test_a_detection_kills_too(rubicon: Rubicon) -> None:
    """After the act: the kernel knows nothing of detections."""
    rule = rubicon.folder / "rule.yml"
    rule.write_text(
        "title: Tail\nlogsource: {category: process_creation, product: linux}\nlevel: high\n"
        "detection: {selection: {Image|endswith: /tail}, condition: selection}\n"
        "rubicon: {on_violation: kill}\n"
    )
    done = rubicon.do(
        "run", "--enforce", "--rules", rule, "--trace", rubicon.trace, "--", "tail", "-f", "/dev/null"
    )
    assert done.returncode == 128 + signal.SIGKILL
    (action,) = acts(rubicon.export())
    assert action["rubicon"]["action"]["in_kernel"] is False
    assert 0 < action["rubicon"]["action"]["latency_ns"] < 10**10


# ---- freeze


def frozen_run(rubicon: Rubicon) -> tuple[Started, int]:
    """A command that broke a policy and stands still; the pid of the program that did it."""
    rules = rubicon.policy(SHELL_ONLY % "freeze")
    started = rubicon.start(
        "run",
        "--enforce",
        "--policy",
        rules,
        "--trace",
        rubicon.trace,
        "--",
        "sh",
        "-c",
        "tail -f /dev/null; exit 5",
    )
    said = started.says("ACTION   froze all that is watched")
    pid = int(said.partition("tail (pid ")[2].partition(")")[0])
    return started, pid


def stands_still(pid: int) -> bool:
    """By a frozen cgroup, or stopped."""
    cgroup = Path(f"/proc/{pid}/cgroup").read_text().partition("0::")[2].strip()
    events = Path("/sys/fs/cgroup/unified", cgroup.lstrip("/"), "cgroup.events")
    if not events.exists():
        events = Path("/sys/fs/cgroup", cgroup.lstrip("/"), "cgroup.events")
    return state(pid) == "T" or (events.exists() and "frozen 1" in events.read_text())


def test_frozen_thawed_and_killed_by_hand(rubicon: Rubicon) -> None:
    started, pid = frozen_run(rubicon)
    assert stands_still(pid)
    assert [path.suffix for path in rubicon.traces.iterdir()] == [".frozen"]
    done = rubicon.do("thaw", str(rubicon.trace))
    assert (done.returncode, done.stderr) == (0, "rubicon: thawed\n")
    assert not stands_still(pid)
    done = rubicon.do("freeze", str(rubicon.trace))
    assert done.returncode == 0
    assert stands_still(pid)
    done = rubicon.do("kill", str(rubicon.trace))
    assert (done.returncode, done.stderr) == (0, "rubicon: killed 2 processes\n")
    assert started.end() == 128 + signal.SIGKILL
    by_hand = [each["rubicon"]["action"].get("by", "the rule") for each in acts(rubicon.export())]
    assert by_hand[0] == "the rule"
    assert all(each.startswith("user 0 (pid ") for each in by_hand[1:4])
    assert leftovers(rubicon) == []
    assert rubicon.do("thaw", str(rubicon.trace)).returncode == 1


def test_who_asks_it_to_end_need_not_thaw_first(rubicon: Rubicon) -> None:
    started, _pid = frozen_run(rubicon)
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == 128 + signal.SIGTERM
    assert leftovers(rubicon) == []


def test_what_a_killed_engine_left_frozen_goes_on_at_the_next_start(rubicon: Rubicon) -> None:
    started, pid = frozen_run(rubicon)
    rubicon.adopt(started)
    os.kill(started.pid, signal.SIGKILL)
    started.process.wait()
    assert stands_still(pid)
    done = rubicon.do("run", "--", "true")
    assert "thawed what session " in done.stderr
    assert not stands_still(pid)
    assert list(rubicon.traces.glob("*.frozen")) == []


def test_the_socket_of_a_killed_engine_goes_at_the_next_start(rubicon: Rubicon, spawn: Spawn) -> None:
    """That of one that lives stays."""
    first, second = spawn("sleep", "60"), spawn("sleep", "60")
    engines = [rubicon.start("attach", f"pid:{each.pid}", "--no-tui") for each in (first, second)]
    for engine in engines:
        engine.says("watching")
    engines[0].process.kill()
    engines[0].end()
    assert len(list(rubicon.traces.glob("*.control"))) == 2
    rubicon.run("true")
    (left,) = rubicon.traces.glob("*.control")
    assert rubicon.do("freeze", str(left).removesuffix(".control")).returncode == 0


def test_thaw_reaches_what_a_killed_engine_left(rubicon: Rubicon) -> None:
    started, pid = frozen_run(rubicon)
    rubicon.adopt(started)
    os.kill(started.pid, signal.SIGKILL)
    started.process.wait()
    (kept,) = rubicon.traces.glob("*.frozen")
    done = rubicon.do("thaw", kept.stem)
    assert (done.returncode, done.stderr.startswith("rubicon: thawed")) == (0, True)
    assert not stands_still(pid)


def test_a_process_that_was_attached_to(rubicon: Rubicon, spawn: Spawn) -> None:
    """Stopped by a signal, with its children; the shell that started it goes on."""
    top = spawn("sh", "-c", "sleep 60 & read line; wait", cwd=rubicon.work)
    started = rubicon.start("attach", f"pid:{top.pid}", "--no-tui", "--trace", rubicon.trace)
    started.says("watching")
    assert rubicon.do("freeze", str(rubicon.trace)).returncode == 0
    (child,) = Path(f"/proc/{top.pid}/task/{top.pid}/children").read_text().split()
    until(lambda: (state(top.pid), state(int(child))) == ("T", "T"), "both to stop")
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == 0
    until(lambda: state(top.pid) != "T" and state(int(child)) != "T", "both to go on")
    assert [each["event"]["action"] for each in acts(rubicon.export())] == ["freeze", "thaw"]


def test_a_cgroup(rubicon: Rubicon, spawn: Spawn, cgroup: Path) -> None:
    """As one, with who is moved in later; a neighbour is not touched."""
    inside, outside = spawn("sleep", "60"), spawn("sleep", "60")
    (cgroup / "cgroup.procs").write_text(str(inside.pid))
    started = rubicon.start("attach", f"cgroup:{cgroup}", "--no-tui", "--trace", rubicon.trace)
    started.says("watching")
    done = rubicon.do("freeze", str(rubicon.trace))
    assert done.stderr == "rubicon: froze all that is watched (1 cgroup)\n"
    assert "frozen 1" in (cgroup / "cgroup.events").read_text()
    late = spawn("sleep", "60")
    (cgroup / "cgroup.procs").write_text(str(late.pid))
    done = rubicon.do("kill", str(rubicon.trace))
    assert done.stderr == "rubicon: killed 2 processes\n"
    assert (inside.wait(), late.wait()) == (-signal.SIGKILL, -signal.SIGKILL)
    assert outside.poll() is None
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0
    assert "frozen 0" in (cgroup / "cgroup.events").read_text()


# ---- who has a say


def test_another_user_is_refused_and_it_is_written_down(rubicon: Rubicon, spawn: Spawn) -> None:
    top = spawn("sleep", "60")
    started = rubicon.start("attach", f"pid:{top.pid}", "--no-tui", "--trace", rubicon.trace)
    started.says("watching")
    control = Path(f"{rubicon.trace}.control")
    assert control.stat().st_mode & 0o777 == 0o600
    control.chmod(0o666)  # as if somebody had been careless
    for folder in (rubicon.folder, *rubicon.folder.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o001)
    program = (
        "import socket, sys\n"
        "peer = socket.socket(socket.AF_UNIX)\n"
        "peer.connect(sys.argv[1])\n"
        'peer.sendall(b\'{"command": "kill"}\\n\')\n'
        "print(peer.makefile().readline())\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program, control],
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["message"] == "refused: the session is another user's"
    assert top.poll() is None
    started.says(f"REFUSED  refused kill from user {NOBODY.pw_uid} (pid ")
    started.process.send_signal(signal.SIGINT)
    started.end()
    (refused,) = acts(rubicon.export())
    assert refused["rubicon"]["action"]["result"] == "refused"
    assert refused["event"]["outcome"] == "failure"


def test_who_is_watched_has_no_say(rubicon: Rubicon) -> None:
    """Not even as the same user: an agent cannot thaw itself."""
    environment = rubicon.environment | {"PYTHONPATH": str(ROOT)}
    done = rubicon.do("run", "--trace", rubicon.trace, "--", *MAIN, "kill", rubicon.trace, env=environment)
    assert done.returncode == 1
    assert "refused: it is watched by this session" in done.stderr
    assert "REFUSED  refused kill from user 0" in done.stderr


def test_a_session_that_has_ended(rubicon: Rubicon) -> None:
    rubicon.run("true")
    done = rubicon.do("kill", rubicon.trace)
    assert done.returncode == 1
    assert "has ended" in done.stderr
    assert rubicon.do("freeze", "nobody").returncode == 2


def test_a_trace_where_no_socket_can_be(rubicon: Rubicon) -> None:
    """The session goes on without, and says so."""
    (rubicon.folder / "the.trace.control").mkdir()
    done = rubicon.run("true")
    assert done.returncode == 0
    assert "no control socket beside the trace" in done.stderr
