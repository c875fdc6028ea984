"""`rubicon attach`: what runs already, what joins later, and when it ends."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Spawn
from .driver import PYTHON, Document, Rubicon, Started, until

NOBODY = pwd.getpwnam("nobody")


def attach(
    rubicon: Rubicon, *targets: str, options: tuple[str, ...] = (), trace: Path | None = None
) -> Started:
    """Started, and watching."""
    where = trace or rubicon.trace
    started = rubicon.start("attach", *targets, "--no-tui", "--trace", where, *options)
    started.says("rubicon: watching ")
    return started


def ended(started: Started) -> str:
    """The last words of a session that ended by itself."""
    assert started.end() == 0
    return started.err.splitlines()[-1]


class Shell:
    """A shell that does what it is told, line by line."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.pid = process, process.pid
        self._folder, self._said = folder, 0

    def does(self, line: str) -> None:
        """Returns when it is done."""
        self._said += 1
        done = self._folder / f"done-{self.pid}-{self._said}"
        assert self.process.stdin
        self.process.stdin.write(f"{line}\nln -s x {done}\n".encode())
        self.process.stdin.flush()
        until(lambda: os.path.lexists(done), f"{line!r} to be done")

    def ends(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def shell(spawn: Spawn, rubicon: Rubicon) -> Any:
    def start(**options: Any) -> Shell:
        return Shell(spawn("sh", cwd=rubicon.work, env=rubicon.environment, **options), rubicon.folder)

    return start


# ---- a process


def test_a_tree_that_runs_already(spawn: Spawn, rubicon: Rubicon) -> None:
    """All of it is recorded as it is, with arguments, folder and user, before anything it does."""
    program = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    os.chdir('sub')\n"
        "    os.execv('/bin/sh', ['/bin/sh', '-c', 'read line; exec /bin/true', 'a child', 'two words'])\n"
        "print(flush=True)\n"
        "os.wait()"
    )
    (rubicon.work / "sub").mkdir()
    user = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
    top = spawn(
        "/usr/bin/python3", "-I", "-S", "-c", program, "top", cwd=rubicon.work, stdout=subprocess.PIPE, **user
    )
    assert top.stdout
    assert top.stdin
    top.stdout.readline()
    (child,) = until(lambda: children(top.pid, "sh"), "the child to be a shell")
    started = attach(rubicon, f"pid:{top.pid}")
    assert "2 processes" in started.err
    top.stdin.write(b"\n")
    top.stdin.close()
    assert ", 0 lost; trace " in ended(started)
    assert rubicon.verify() == (0, "intact")

    states = {each["process"]["pid"]: each for each in rubicon.events() if each["event"]["kind"] == "state"}
    assert set(states) == {top.pid, child}
    seen = states[top.pid]
    assert seen["event"]["action"] == "exec"
    assert seen["process"]["args"] == ["/usr/bin/python3", "-I", "-S", "-c", program, "top"]
    assert seen["process"]["executable"] == os.path.realpath("/usr/bin/python3")
    assert seen["process"]["working_directory"] == str(rubicon.work)
    assert (seen["user"]["id"], seen["user"]["name"]) == (str(NOBODY.pw_uid), "nobody")
    assert seen["process"]["parent"]["pid"] == os.getpid()
    below = states[child]["process"]
    assert below["args"][-2:] == ["a child", "two words"]
    assert below["working_directory"] == str(rubicon.work / "sub")
    assert below["parent"]["entity_id"] == seen["process"]["entity_id"]

    rest = [each for each in rubicon.events() if each["event"]["kind"] == "event"]
    assert [(each["event"]["action"], each["process"]["pid"]) for each in rest] == [
        ("exec", child),
        ("exit", child),
        ("exit", top.pid),
    ]


def children(parent: int, name: str) -> list[int]:
    """The children of a process that have that name."""
    pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in pids if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n"]


def test_it_ends_with_the_target(shell: Any, rubicon: Rubicon) -> None:
    target = shell()
    started = attach(rubicon, f"pid:{target.pid}")
    target.does("echo >made")
    target.ends()
    assert "0 violations, 0 lost" in ended(started)
    assert f"{rubicon.work}/made" in rubicon.events().of("file_write").paths
    assert rubicon.events()[-1]["event"]["action"] == "exit"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_watch_alone(number: signal.Signals, shell: Any, rubicon: Rubicon) -> None:
    target = shell()
    started = attach(rubicon, f"pid:{target.pid}")
    started.process.send_signal(number)
    assert "events, 0 violations, 0 lost; trace " in ended(started)
    target.does("true")
    assert rubicon.verify() == (0, "intact")


def test_two_sessions_see_only_their_own(shell: Any, rubicon: Rubicon) -> None:
    targets = [shell(), shell()]
    traces = [rubicon.folder / f"{number}.trace" for number in range(2)]
    sessions = [
        attach(rubicon, f"pid:{target.pid}", trace=trace)
        for target, trace in zip(targets, traces, strict=True)
    ]
    for number, target in enumerate(targets):
        target.does(f"echo >file{number}")
    for number, (target, session) in enumerate(zip(targets, sessions, strict=True)):
        target.ends()
        ended(session)
        events = rubicon.events(traces[number])
        assert events.of("file_write").paths == [f"{rubicon.work}/file{number}"]
        pids = {each["process"]["pid"] for each in events}
        assert target.pid in pids
        assert targets[1 - number].pid not in pids


def test_two_targets_in_one_session(shell: Any, rubicon: Rubicon) -> None:
    targets = [shell(), shell()]
    started = attach(rubicon, *(f"pid:{target.pid}" for target in targets))
    for number, target in enumerate(targets):
        target.does(f"echo >file{number}")
        target.ends()
    ended(started)
    assert rubicon.events().of("file_write").paths == [f"{rubicon.work}/file{number}" for number in range(2)]


# ---- a cgroup


def by_path(cgroup: Path) -> str:
    """As a user names it: from the root of the hierarchy."""
    from tracer.targets.cgroups import mount_point

    root = mount_point()
    assert root
    return f"cgroup:/{cgroup.relative_to(root)}"


@pytest.mark.parametrize("how", ["from the root", "in the file system"])
def test_a_cgroup_and_who_joins_later(how: str, cgroup: Path, shell: Any, rubicon: Rubicon) -> None:
    inside, later, outside = shell(), shell(), shell()
    (cgroup / "cgroup.procs").write_text(str(inside.pid))
    word = by_path(cgroup) if how == "from the root" else f"cgroup:{cgroup}"
    started = attach(rubicon, word)
    assert "1 processes" in started.err
    for target in (inside, later, outside):
        target.does(f"echo >before-{target.pid}")
    (cgroup / "cgroup.procs").write_text(str(later.pid))
    for target in (inside, later, outside):
        target.does(f"echo >after-{target.pid}")
    started.process.terminate()
    ended(started)
    expected = [f"before-{inside.pid}", f"after-{inside.pid}", f"after-{later.pid}"]
    events = rubicon.events()
    assert [os.path.basename(path) for path in events.of("file_write").paths] == expected
    assert {each["process"]["pid"] for each in events.of("file_write")} == {inside.pid, later.pid}


def test_an_empty_cgroup_is_waited_for(cgroup: Path, shell: Any, rubicon: Rubicon) -> None:
    started = attach(rubicon, by_path(cgroup))
    assert "0 processes" in started.err
    target = shell()
    (cgroup / "cgroup.procs").write_text(str(target.pid))
    target.does("echo >joined")
    target.ends()
    started.process.terminate()
    ended(started)
    assert rubicon.events().of("file_write").paths == [f"{rubicon.work}/joined"]


# ---- no such target


def ended_pid() -> int:
    """Of a process that was, and has been waited for."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def refusal(rubicon: Rubicon, *words: str) -> str:
    done = rubicon.do("attach", *words, "--no-tui")
    assert (done.returncode, done.stdout) == (2, "")
    assert not rubicon.traces.exists()
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_process_that_is_gone(rubicon: Rubicon) -> None:
    pid = ended_pid()
    assert refusal(rubicon, f"pid:{pid}").startswith(f"rubicon: there is no process {pid}")


def test_near_matches_of_a_process(spawn: Spawn, rubicon: Rubicon) -> None:
    program = rubicon.folder / "verymuchnamed"
    program.symlink_to("/bin/cat")
    process = spawn(program)
    until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "verymuchnamed\n", "its name")
    near = f"{process.pid} (verymuchnamed)"
    assert near in refusal(rubicon, "pid:muchname")
    assert near in refusal(rubicon, f"pid:{process.pid}0000")


def test_near_matches_of_a_cgroup(cgroup: Path, rubicon: Rubicon) -> None:
    right = by_path(cgroup)
    said = refusal(rubicon, right[:-1] + "\x1b")
    assert f"near matches: {right.removeprefix('cgroup:')}" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "word", ["", "42", "pid:", "pid:x", "pid:-1", "pid:0", "pid:1.5", "docker", "cgroup", "nonsense:7"]
)
def test_words_that_are_no_target(word: str, rubicon: Rubicon) -> None:
    refusal(rubicon, word)


def test_a_thread_is_no_target(spawn: Spawn, rubicon: Rubicon) -> None:
    program = "import threading, sys; threading.Thread(target=sys.stdin.readline).start(); print(flush=True)"
    process = spawn(PYTHON, "-I", "-S", "-c", program, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    tasks = until(lambda: threads(process.pid), "the thread")
    assert f"there is no process {tasks[0]}" in refusal(rubicon, f"pid:{tasks[0]}")


def threads(pid: int) -> list[int]:
    return [int(each) for each in os.listdir(f"/proc/{pid}/task") if int(each) != pid]


def test_a_process_that_was_not_waited_for(rubicon: Rubicon) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert f"there is no process {process.pid}" in refusal(rubicon, f"pid:{process.pid}")
    finally:
        process.wait()


def test_one_bad_target_of_two(shell: Any, rubicon: Rubicon) -> None:
    refusal(rubicon, f"pid:{shell().pid}", f"pid:{ended_pid()}")


def test_the_screen_needs_a_terminal(rubicon: Rubicon) -> None:
    done = rubicon.do("attach", f"pid:{os.getpid()}", "--tui")
    assert (done.returncode, done.stderr) == (2, "rubicon: --tui needs a terminal\n")


# ---- followed by others while it runs


def test_another_process_follows(shell: Any, rubicon: Rubicon) -> None:
    """The violation is in the trace, and can be read there, while the session goes on."""
    policy = rubicon.policy("files:\n  write: [/nowhere/**]\n")
    target = shell()
    started = attach(rubicon, f"pid:{target.pid}", options=("--policy", str(policy)))
    target.does("echo >broken")
    alert = until(lambda: alerts(rubicon), "the violation to be readable")[0]
    assert alert["file"]["path"] == f"{rubicon.work}/broken"
    assert alert["process"]["pid"] == target.pid
    assert rubicon.verify() == (0, "live")
    assert started.process.poll() is None
    assert f"{rubicon.work}/broken" in started.says("broken")
    target.ends()
    ended(started)
    assert rubicon.verify() == (0, "intact")


def alerts(rubicon: Rubicon) -> list[Document]:
    *documents, _summary = rubicon.export(None, "--only", "violations")
    return documents
