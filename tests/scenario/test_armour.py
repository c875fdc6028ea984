"""What protects the engine beside the rules: its rights, and what stray signals and its user can do to it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driver import MAIN, PYTHON, ROOT, Rubicon, Started, Terminal, descendants, until

ENGINE = {1, 5, 19, 38, 39}  # DAC_OVERRIDE KILL SYS_PTRACE PERFMON BPF: linux/capability.h
STRAY = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGIO, signal.SIGSEGV, signal.SIGRTMIN + 1)
SETS = ("CapPrm", "CapEff", "CapInh", "CapAmb")
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all"


def fields(status: str) -> dict[str, str]:
    """Of proc_pid_status(5)."""
    return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


def of_thread(pid: int, thread: int) -> dict[str, str]:
    return fields(Path(f"/proc/{pid}/task/{thread}/status").read_text())


def capabilities(facts: dict[str, str], kind: str) -> set[int]:
    bits = int(facts[kind], 16)
    return {bit for bit in range(64) if bits >> bit & 1}


@pytest.fixture
def watching(rubicon: Rubicon) -> Started:
    """A session whose command waits until the test ends."""
    script = "cat /proc/self/status >status; ls -l /proc/self/fd >fds; cat /proc/self/oom_score_adj >oom"
    command = ["sh", "-c", f"{script}; touch up; exec sleep 60"]
    started = rubicon.start("run", "--trace", rubicon.trace, "--", *command)
    until((rubicon.work / "up").exists, "the command")
    return started


def test_the_engine_keeps_what_it_needs_in_all_threads(watching: Started) -> None:
    threads = [int(each) for each in os.listdir(f"/proc/{watching.pid}/task")]
    assert len(threads) > 2
    for thread in threads:
        facts = of_thread(watching.pid, thread)
        assert [capabilities(facts, each) for each in SETS] == [ENGINE, ENGINE, set(), set()]
        assert facts["NoNewPrivs"] == "1"


def test_on_a_terminal_no_thread_keeps_more(rubicon: Rubicon) -> None:
    """The one that writes there is older than the rest."""
    command = ["sh", "-c", "echo up; read line"]
    with Terminal(rubicon, "run", "--trace", rubicon.trace, "--", *command) as terminal:
        terminal.shows("up")
        pid = terminal.process.pid
        threads = [of_thread(pid, int(each)) for each in os.listdir(f"/proc/{pid}/task")]
        kept = [capabilities(facts, each) for facts in threads for each in SETS]
        terminal.type("\n")
        terminal.end()
    assert set() in kept
    assert all(each <= ENGINE for each in kept)


def test_the_command_has_what_the_user_had(watching: Started, rubicon: Rubicon) -> None:
    said = fields((rubicon.work / "status").read_text())
    bare = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    own = fields(bare.stdout)
    for each in (*SETS, "CapBnd", "NoNewPrivs", "SigIgn", "SigBlk"):
        assert said[each] == own[each]
    assert (rubicon.work / "oom").read_text() == Path("/proc/self/oom_score_adj").read_text()
    descriptors = (rubicon.work / "fds").read_text()
    assert "bpf" not in descriptors
    assert rubicon.trace.name not in descriptors


def test_the_trace_and_the_socket_are_for_its_user_alone(watching: Started, rubicon: Rubicon) -> None:
    control = Path(f"{rubicon.trace}.control")
    assert [path.stat().st_mode & 0o777 for path in (rubicon.trace, control)] == [0o600, 0o600]


def test_its_memory_is_not_for_its_user(rubicon: Rubicon) -> None:
    """What PR_SET_DUMPABLE takes from others belongs to root's group in /proc, whoever's it was."""
    up = rubicon.work / "up"
    started = rubicon.start("run", "--", "sh", "-c", f"touch {up}; exec sleep 60", group=65534)
    until(up.exists, "the command")
    assert Path(f"/proc/{started.pid}/fd").stat().st_gid == 0
    assert Path(f"/proc/{descendants(started.pid)[0]}/fd").stat().st_gid == 65534


def test_it_is_the_last_to_go_when_memory_runs_out(watching: Started) -> None:
    if 24 not in capabilities(fields(Path("/proc/self/status").read_text()), "CapEff"):
        pytest.skip("this machine gives root no CAP_SYS_RESOURCE")
    assert Path(f"/proc/{watching.pid}/oom_score_adj").read_text() == "-999\n"


def test_stray_signals_do_not_end_it(watching: Started, rubicon: Rubicon) -> None:
    for number in STRAY:
        os.kill(watching.pid, number)
    os.kill(watching.pid, signal.SIGTERM)
    assert watching.end() == 128 + signal.SIGTERM  # of the command, to which it was handed on
    assert rubicon.verify() == (0, "intact")


def test_the_screen_has_no_capability(rubicon: Rubicon) -> None:
    assert rubicon.run("true").returncode == 0
    with Terminal(rubicon, "watch", rubicon.trace) as terminal:
        pid = terminal.process.pid
        until(lambda: not any(capabilities(of_thread(pid, pid), each) for each in SETS), "its rights to go")
        terminal.type("q")
        terminal.end()


# ---- without root, as `doctor` says


class House:
    """A folder that any user can reach, with a home in it, and an interpreter that finds our packages.

    The checkout is mounted into it, for this user alone, as it may lie where other users cannot go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        for each in ("bin", "home", "checkout"):
            (folder / each).mkdir()
        environment = Path(MAIN[0]).parents[1].relative_to(ROOT)
        (folder / "bin/python").symlink_to(PYTHON)
        (folder / "lib").symlink_to(folder / "checkout" / environment / "lib")
        (folder / "pyvenv.cfg").write_text((ROOT / environment / "pyvenv.cfg").read_text())
        folder.chmod(0o755)
        os.chown(self.home, 65534, 65534)

    def do(self, command: str) -> subprocess.CompletedProcess[str]:
        """A shell command by nobody."""
        mount = f"mount --bind {shlex.quote(str(ROOT))} {self.folder}/checkout"
        script = f"{mount} && cd {self.home} && exec {NOBODY} sh -c {shlex.quote(command)}"
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def watched(self, command: str) -> subprocess.CompletedProcess[str]:
        """By nobody, watched by nobody, after what `doctor` says is to be done for that was done."""
        main = f"{self.folder}/checkout/tracer/cli/__main__.py"
        done = self.do(f"{self.folder}/bin/python -I {main} doctor --json")
        assert done.stdout, done.stderr
        *prepare, run = json.loads(done.stdout)["without_root"]
        for each in prepare:
            subprocess.run(each.removeprefix("sudo "), shell=True, check=True)
        assert (self.folder / "bin/rubicon-python").stat().st_mode & 0o7777 == 0o750
        return self.do(run.replace("CMD", command))


@pytest.fixture
def house() -> Iterator[House]:
    if PYTHON.startswith(str(ROOT)) or not Path(MAIN[0]).is_relative_to(ROOT):
        pytest.skip("this machine has its interpreter elsewhere")
    with tempfile.TemporaryDirectory(prefix="rubicon", dir="/tmp") as name:
        yield House(Path(name))


def test_without_root_an_agent_of_the_same_user(house: House) -> None:
    """It can neither look into the engine nor end it by a stray signal; that it tried is told."""
    program = house.folder / "checkout/tests/scenario/programs/evil.py"
    traces = house.home / ".local/state/rubicon/traces"
    ways = "seize 'write memory' 'open memory' user ask"
    done = house.watched(f"{house.folder}/bin/python -I -S {program} {traces} {ways}")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "Attack on Rubicon" in line]
    assert ["refused with" in line for line in lines] == [True, True, True, False], done.stderr
    assert "SIGUSR1" in lines[3]
    assert " 0 lost; trace" in done.stderr


def test_without_root_the_command_gets_nothing(house: House) -> None:
    """Of the capabilities of the interpreter."""
    done = house.watched("cat /proc/self/status")
    assert done.returncode == 0, done.stderr
    facts = fields(done.stdout)
    assert [capabilities(facts, each) for each in SETS] == [set()] * 4
    assert facts["Uid"].split() == ["65534"] * 4
