"""Sandboxes without a daemon, through `pid:`; and what `unit:` and `comm:` name."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tracer.targets.cgroups import mount_point

from .attached import attach, end, programs
from .conftest import Spawn
from .driver import Rubicon, until
from .runtimes import make_image

SCRIPT = "read -r line; /bin/touch /tmp/made; exec /bin/true"  # by its path: else busybox does it itself
SANDBOXES = {
    "bubblewrap": ["bwrap", "--bind", "ROOT", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all"],
    "firejail": ["firejail", "--quiet", "--noprofile", "--net=none", "--private-tmp"],
    "nspawn": ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--directory=ROOT"],
    "unshare": ["unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--root=ROOT"],
}


@pytest.mark.parametrize("name", SANDBOXES)
def test_a_sandbox_by_its_pid(rubicon: Rubicon, spawn: Spawn, tmp_path: Path, name: str) -> None:
    """Everything below is watched, whatever namespaces it is in, with paths as it sees them."""
    make_image(tmp_path)
    root = str(tmp_path / "image")
    (tmp_path / "image/dev").mkdir()
    command = [word.replace("ROOT", root) for word in SANDBOXES[name]]
    if name == "nspawn":
        (tmp_path / "image/etc/os-release").write_text("ID=box\n")
        (tmp_path / "image/usr").mkdir()
    process = spawn(*command, "/bin/sh", "-c", SCRIPT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until(lambda: process.poll() is not None or runs_script(process.pid), "the sandbox to be ready")
    if process.poll() is not None:
        assert process.stdout is not None
        reason = process.stdout.read().decode()
        pytest.skip(f"this machine does not run {name}: {reason}")
    watching = attach(rubicon, {}, f"pid:{process.pid}")
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    assert watching.end() == 0, watching.err
    events = rubicon.events()
    assert programs(events)[:2] == [("/bin/touch", "/tmp/made"), ("/bin/true",)]
    made = f"{root}/tmp/made" if name == "unshare" else "/tmp/made"  # chroot alone hides no path
    assert made in events.of("file_write", "success").paths


def runs_script(pid: int) -> bool:
    """Whether the script waits for its line, somewhere below a process."""
    from .driver import descendants

    for each in [pid, *descendants(pid)]:
        try:
            args = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if args[:2] == [b"/bin/sh", b"-c"]:
            return True
    return False


def test_a_unit(rubicon: Rubicon, spawn: Spawn) -> None:
    """By the cgroup that systemd gives it; it stays watched when it is started again."""
    root = mount_point()
    if root is None:
        pytest.skip("this machine has no cgroup v2 hierarchy")
    unit = root / f"rubicon-test-{os.getpid()}.slice" / "agent.service"
    unit.mkdir(parents=True)
    command = ("/bin/sh", "-c", 'echo 0 > "$1"; exec sleep 1000', "sh", str(unit / "cgroup.procs"))
    try:
        first = spawn(*command)
        until((unit / "cgroup.procs").read_text, "it to be in the cgroup")
        wrong = rubicon.do("attach", "unit:agnet")
        assert (wrong.returncode, "near matches: agent.service" in wrong.stderr) == (2, True), wrong.stderr
        watching = attach(rubicon, {}, "unit:agent")
        first.kill()
        first.wait()
        until(lambda: not (unit / "cgroup.procs").read_text(), "it to be empty")
        unit.rmdir()
        unit.mkdir()
        second = spawn(*command)
        until(lambda: Path(f"/proc/{second.pid}/comm").read_text() == "sleep\n", "it to run again")
        events = end(rubicon, watching)
        assert ("sleep", "1000") in programs(events)
        assert {each["rubicon"]["target"] for each in events} == {"unit:agent"}
        second.kill()
        second.wait()
    finally:
        until(lambda: not (unit / "cgroup.procs").read_text(), "it to be empty")
        unit.rmdir()
        unit.parent.rmdir()


def test_processes_by_name(rubicon: Rubicon, spawn: Spawn, tmp_path: Path) -> None:
    """Each that runs now and each that starts later, with what it starts; and no others."""
    program = tmp_path / f"ag-{os.getpid()}"
    other = tmp_path / f"og-{os.getpid()}"
    for each in (program, other):
        shutil.copy("/bin/busybox", each)
    before = [spawn(*agent(program)) for _ in range(3)]
    until(lambda: {named(each.pid) for each in before} == {program.name}, "them to have their name")
    watching = attach(rubicon, {}, f"comm:[a-f]g-{os.getpid()}*")
    assert ": 3 processes" in watching.err
    later = [spawn(*agent(program), "later"), spawn(*agent(other), "other")]
    for each in (*before, *later):
        assert each.stdin is not None
        each.stdin.write(b"\n")
        each.stdin.close()
        each.wait()
    events = end(rubicon, watching)
    assert programs(events).count(("/bin/true",)) == 4
    assert [args for args in programs(events) if args[0] == "sh"] == [(*SHELL, "later")]
    assert {each["rubicon"]["target"] for each in events} == {f"comm:[a-f]g-{os.getpid()}*"}
    wrong = rubicon.do("attach", "comm:no-such-process-at-all")
    assert (wrong.returncode, "no process is called" in wrong.stderr) == (2, True)


SHELL = ("sh", "-c", "read -r line; /bin/true; exit")


def agent(program: Path) -> list[str]:
    """busybox takes what it is from its first argument, and the name of the file stays the process's."""
    code = f"import os, sys; os.execv(sys.argv[1], [*{SHELL!r}, *sys.argv[2:]])"
    return ["/usr/bin/python3", "-I", "-c", code, str(program)]


def named(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().rstrip()
