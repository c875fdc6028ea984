"""`rubicon run`: the command runs as it would without, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tracer.trace import Reader

from .driver import MAIN, PYTHON, Rubicon, Terminal, descendants, until

WATCHING_ON = "what it started still runs"


@pytest.fixture
def policy(rubicon: Rubicon) -> Path:
    """Allows to write below `ok` and nothing else."""
    (rubicon.work / "ok").mkdir()
    return rubicon.policy(f"files:\n  write: ['{rubicon.work}/ok/**']\n")


def bare(rubicon: Rubicon, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command as it is without us."""
    settings = {"env": rubicon.environment, "cwd": rubicon.work, "stdin": subprocess.DEVNULL} | options
    return subprocess.run(command, check=True, capture_output=True, text=True, **settings)  # type: ignore[call-overload, no-any-return]


# ---- the loader


@pytest.mark.parametrize(("loader", "used"), [("auto", "core"), ("core", "core"), ("bcc", "bcc")])
@pytest.mark.timeout(180)  # BCC compiles the probes
def test_either_loader_sees_the_same(loader: str, used: str, policy: Path, rubicon: Rubicon) -> None:
    command = ("sh", "-c", "echo > ok/fine; echo > bad")
    options = ("--loader", loader, "--policy", policy, "--trace", rubicon.trace)
    done = rubicon.do("run", *options, "--", *command, timeout=150)
    assert (done.returncode, rubicon.verify()) == (0, (0, "intact"))
    assert "1 violation, 0 lost" in done.stderr
    with Reader(rubicon.trace) as reader:
        assert reader.session["loader"] == used


# ---- the exit status


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -SEGV $$"], 139),
        (["./text"], 0),
    ],
)
def test_the_status_is_the_commands(command: list[str], status: int, rubicon: Rubicon) -> None:
    (rubicon.work / "text").write_text("true\n")  # no #!: a shell runs it all the same
    (rubicon.work / "text").chmod(0o755)
    assert rubicon.run(*command).returncode == status
    assert rubicon.verify() == (0, "intact")


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("no-such-command", 127, "rubicon: no-such-command: command not found\n"),
        ("./nothing\x1b[2J", 127, "rubicon: ./nothing\\x1b[2J: command not found\n"),
        ("/", 126, "rubicon: /: is a directory\n"),
        ("./plain", 126, "rubicon: ./plain: cannot be executed\n"),
        ("", 127, "rubicon: : command not found\n"),
    ],
)
def test_what_cannot_be_started(command: str, status: int, words: str, rubicon: Rubicon) -> None:
    (rubicon.work / "plain").write_text("#!/bin/sh\n")
    done = rubicon.run(command)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", words)
    assert not rubicon.trace.exists()


def test_what_only_the_kernel_refuses(rubicon: Rubicon) -> None:
    (rubicon.work / "script").write_text("#!/no/such/interpreter\n")
    (rubicon.work / "script").chmod(0o755)
    done = rubicon.run("./script")
    assert (done.returncode, done.stderr) == (126, "rubicon: ./script: No such file or directory\n")
    assert rubicon.verify() == (0, "intact")
    assert [each["error"]["code"] for each in rubicon.events().of("exec", "failure")] == ["ENOENT"]


def test_no_command_is_bad_usage(rubicon: Rubicon) -> None:
    done = rubicon.do("run", "--")
    assert done.returncode == 2
    assert "no command" in done.stderr


# ---- what the command is given


def test_streams_are_the_commands(rubicon: Rubicon) -> None:
    done = rubicon.run("sh", "-c", "cat; printf partial >&2", input="one\ntwo")
    assert (done.returncode, done.stdout) == (0, "one\ntwo")
    ours = done.stderr.removeprefix("partial")
    assert ours != done.stderr
    assert ours.startswith("rubicon: ")


def test_environment(rubicon: Rubicon) -> None:
    environment = rubicon.environment | {"LANG": "C", "ODD": "a\nb", "EMPTY": "", "PYTHONPATH": "/nowhere"}
    environment["BYTES"] = os.fsdecode(b"\xff\xfe")
    done = rubicon.run("env", "-0", env=environment)
    environment["RUBICON_STEPS"] = f"{rubicon.trace}.steps"
    assert sorted(done.stdout.split("\0")[:-1]) == sorted(
        f"{name}={value}" for name, value in environment.items()
    )


def test_descriptors(rubicon: Rubicon) -> None:
    """Those that the user gave, and none of ours."""
    reader, writer = os.pipe()
    try:
        command = [
            PYTHON,
            "-I",
            "-S",
            "-c",
            "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))",
        ]
        assert (
            rubicon.run(*command, pass_fds=[writer]).stdout
            == bare(rubicon, *command, pass_fds=[writer]).stdout
        )
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("before", ["", "trap '' HUP INT USR1;"])
def test_signals_ignored_and_blocked_and_the_death_signal(before: str, rubicon: Rubicon) -> None:
    look = (
        "import ctypes; death = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(death)); "
        "lines = [line for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))]; "
        "print(death.value, lines)"
    )
    command = [PYTHON, "-I", "-S", "-c", look]
    shell = ["sh", "-c", f'{before} exec "$@"', "sh"]
    watched = bare(rubicon, *shell, *MAIN, "run", "--", *command)
    assert watched.stdout == bare(rubicon, *shell, *command).stdout
    assert watched.stdout.startswith("0 ")


def test_process_group_session_and_folder(rubicon: Rubicon) -> None:
    look = (
        "import os; print(os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0), os.getcwd(), os.umask(0))"
    )
    done = rubicon.run(PYTHON, "-I", "-S", "-c", look)
    umask = int(bare(rubicon, "sh", "-c", "umask").stdout, 8)
    assert done.stdout.split() == ["True", str(os.getsid(0)), str(rubicon.work), str(umask)]


def test_only_the_command_is_recorded(rubicon: Rubicon) -> None:
    """Not we ourselves, nor the child before it became the command."""
    rubicon.run("true")
    assert [(each["event"]["action"], each["process"]["args"]) for each in rubicon.events()] == [
        ("exec", ["true"]),
        ("exit", ["true"]),
    ]
    (parent,) = {each["process"]["parent"]["executable"] for each in rubicon.events()}
    assert parent == PYTHON


def test_children_are_reaped_by_their_parents_alone(rubicon: Rubicon) -> None:
    """An orphan of the command does not become ours, and we leave no zombie."""
    done = rubicon.run("sh", "-c", "(sleep 0 & ) ; exec sh -c 'ps -o stat= --ppid $PPID'")
    assert "Z" not in done.stdout
    assert done.returncode == 0


# ---- violations as they come


def test_lines_json_and_fail_on(policy: Path, rubicon: Rubicon) -> None:
    lines = rubicon.folder / "lines"
    options = ["--policy", policy, "--trace", rubicon.trace, "--jsonl", lines]
    done = rubicon.do("run", *options, "--fail-on", "low", "--", "sh", "-c", "echo >ok/a; echo >b; exit 7")
    assert done.returncode == 3
    told, closing = done.stderr.splitlines()
    assert f"{rubicon.work}/b" in told
    assert f"{rubicon.work}/ok/a" not in done.stderr
    assert "1 violation, 0 lost" in closing
    assert closing.endswith(str(rubicon.trace))
    alert, summary = (json.loads(line) for line in lines.read_text().splitlines())
    assert (alert["event"]["kind"], alert["file"]["path"]) == ("alert", f"{rubicon.work}/b")
    assert summary == rubicon.export()[-1] | {"@timestamp": summary["@timestamp"]}
    assert summary["rubicon"]["summary"]["verdict"] == "violated"
    assert lines.stat().st_mode & 0o777 == 0o600


def test_below_the_level_the_status_is_the_commands(policy: Path, rubicon: Rubicon) -> None:
    options = ["--policy", policy, "--trace", rubicon.trace, "--fail-on", "critical"]
    assert rubicon.do("run", *options, "--", "sh", "-c", "echo >b; exit 7").returncode == 7


def test_json_lines_on_stdout(policy: Path, rubicon: Rubicon) -> None:
    command = ["sh", "-c", "echo before; echo >b; echo after"]
    done = rubicon.do("run", "--policy", policy, "--trace", rubicon.trace, "--jsonl", "-", "--", *command)
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("{")] == ["before", "after"]
    kinds = [json.loads(line)["event"]["kind"] for line in lines if line.startswith("{")]
    assert kinds == ["alert", "metric"]


def test_nobody_reads_the_json_lines(policy: Path, rubicon: Rubicon) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        options = ["--policy", policy, "--trace", rubicon.trace, "--jsonl", "-"]
        command = ["sh", "-c", "echo >b; exit 7"]
        done = rubicon.do("run", *options, "--", *command, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert done.returncode == 7
    assert "no more JSON lines" in done.stderr
    assert rubicon.verify() == (0, "intact")


def test_lines_of_ours_stay_whole(policy: Path, rubicon: Rubicon) -> None:
    command = ["sh", "-c", 'for n in $(seq 97); do echo >"b$n"; echo "mine $n" >&2; done']
    done = rubicon.do("run", "--policy", policy, "--trace", rubicon.trace, "--", *command)
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("rubicon: ")] == [f"mine {n}" for n in range(1, 98)]
    assert sum("b" in line and str(rubicon.work) in line for line in lines[:-1]) == 97


def test_an_existing_trace_is_not_touched(rubicon: Rubicon) -> None:
    rubicon.trace.write_text("precious")
    done = rubicon.run("touch", "ran")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert rubicon.trace.read_text() == "precious"
    assert not (rubicon.work / "ran").exists()


def test_the_folder_of_traces(rubicon: Rubicon) -> None:
    assert rubicon.do("run", "--", "true").returncode == 0
    (trace,) = rubicon.traces.iterdir()
    assert trace.stat().st_mode & 0o777 == 0o600
    assert rubicon.traces.stat().st_mode & 0o777 == 0o700
    (line,) = rubicon.do("sessions", "--json").stdout.splitlines()
    session = json.loads(line)
    assert (session["trace"], session["live"], session["command"]) == (str(trace), False, ["true"])
    assert rubicon.do("replay", session["id"]).stdout == ""


# ---- its end


LEFT = "sleep 1000 <&- >/dev/null 2>&1 & echo $! >left; "
"""What a command does that leaves a process behind."""


def left_pid(rubicon: Rubicon) -> int:
    path = rubicon.work / "left"
    return until(lambda: int(path.read_text() or 0) if path.exists() else 0, "the pid of what was left")


@pytest.fixture
def remains(rubicon: Rubicon) -> object:
    """Ends what the command left running."""
    yield
    path = rubicon.work / "left"
    if path.exists() and (text := path.read_text().strip()) and name_of(int(text)) in {"sh", "sleep"}:
        os.kill(int(text), signal.SIGKILL)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_what_the_command_left_is_watched_to_its_end(rubicon: Rubicon, remains: object) -> None:
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", LEFT + "exit 5")
    started.says(WATCHING_ON)
    os.kill(left_pid(rubicon), signal.SIGTERM)
    assert started.end() == 5
    assert rubicon.events().of("exit")[-1]["process"]["exit_code"] == 143


def test_without_waiting(rubicon: Rubicon, remains: object) -> None:
    command = ["sh", "-c", LEFT + "exit 5"]
    done = rubicon.do("run", "--no-wait", "--trace", rubicon.trace, "--", *command)
    assert done.returncode == 5
    os.kill(left_pid(rubicon), 0)
    assert rubicon.verify() == (0, "intact")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_waiting(number: signal.Signals, rubicon: Rubicon, remains: object) -> None:
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", LEFT + "exit 5")
    started.says(WATCHING_ON)
    started.process.send_signal(number)
    assert started.end() == 5
    os.kill(left_pid(rubicon), 0)
    assert rubicon.verify() == (0, "intact")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_to_us_is_for_the_command(number: signal.Signals, status: int, rubicon: Rubicon) -> None:
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", "echo go; exec sleep 1000")
    until(lambda: started.out, "the command")
    started.process.send_signal(number)
    assert started.end() == status
    assert rubicon.verify() == (0, "intact")
    assert rubicon.events().of("exit")[-1]["rubicon"]["signal"]["name"] == number.name


def test_a_command_that_handles_it_decides(rubicon: Rubicon) -> None:
    program = "trap 'echo caught; exit 9' TERM; echo go; while :; do sleep 0.01; done"
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", program)
    until(lambda: started.out, "the command")
    started.process.terminate()
    assert started.end() == 9
    assert started.out == "go\ncaught\n"


def test_the_command_cannot_end_the_watch(rubicon: Rubicon) -> None:
    done = rubicon.run(
        "sh", "-c", "kill -TERM $PPID; kill -INT $PPID; kill -HUP $PPID; kill -QUIT $PPID; exit 6"
    )
    assert done.returncode == 6
    assert rubicon.verify() == (0, "intact")


COUNT_INTERRUPTS = """
import os, select, signal
caught = []
def count(*_):
    caught.append(1)
    os.write(1, b'caught %d\\n' % len(caught))  # a handler must not print
signal.signal(signal.SIGINT, count)
os.write(1, b'ready\\n')
while not select.select([0], [], [], 0.1)[0]:
    pass  # a signal just before a read would wait for its end: Python runs handlers between calls
input()
print('in all', len(caught), flush=True)
raise SystemExit(7)
"""


def test_a_key_of_the_terminal_reaches_the_command_once(rubicon: Rubicon) -> None:
    command = [PYTHON, "-I", "-S", "-c", COUNT_INTERRUPTS]
    with Terminal(rubicon, "run", "--trace", rubicon.trace, "--", *command) as terminal:
        terminal.shows("ready")
        terminal.type("\x03")
        terminal.shows("caught 1")
        terminal.type("\n")
        terminal.shows("in all 1")
        assert terminal.end() == 7
    assert rubicon.verify() == (0, "intact")


def test_a_key_ends_the_command_and_not_the_watch_of_what_it_left(rubicon: Rubicon, remains: object) -> None:
    program = f"trap '' INT; {LEFT} trap - INT; echo ready; exec sleep 1000"
    with Terminal(rubicon, "run", "--trace", rubicon.trace, "--", "sh", "-c", program) as terminal:
        terminal.shows("ready")
        terminal.type("\x03")
        terminal.shows(WATCHING_ON)
        terminal.type("\x03")
        assert terminal.end() == 130
    assert rubicon.verify() == (0, "intact")


def test_a_shell_with_jobs_has_the_terminal_for_itself(rubicon: Rubicon) -> None:
    """It takes the foreground; what we say meanwhile must not stop us, and its keys are not ours."""
    policy = rubicon.policy("files:\n  write: [/nowhere/**]\n")
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with Terminal(rubicon, "run", "--policy", policy, "--trace", rubicon.trace, "--", *shell) as terminal:
        terminal.type("stty tostop; PS1=; echo >broken; echo rea''dy\n")
        terminal.shows("ready")
        terminal.shows(f"{rubicon.work}/broken")
        terminal.type("sleep 1000\n")
        until(lambda: "sleep" in running_below(terminal.process.pid), "sleep to run")
        terminal.type("\x03")
        terminal.type("echo sta''tus $?\n")
        terminal.shows("status 130")
        terminal.type("exit 4\n")
        assert terminal.end() == 4


def running_below(pid: int) -> list[str]:
    """The names of all descendants."""
    return [name_of(each) for each in descendants(pid)]
