"""The command that waits before its first instruction."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tracer.errors import CommandError
from tracer.targets.command import Command, find_program

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "ODD": "a=b\n"}


def status_of(command: Command) -> int:
    os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT)
    status = command.poll()
    assert status is not None
    return status


def test_programs_are_found_as_a_shell_finds_them(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    assert find_program("program", {"PATH": f"/nowhere:{tmp_path}"}) == str(program)
    assert find_program(str(program), {"PATH": ""}) == str(program)
    assert find_program("sh", ENVIRONMENT) in {"/usr/bin/sh", "/bin/sh"}


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("missing", 127, "missing: command not found"),
        ("./missing", 127, "command not found"),
        ("plain", 126, "plain: cannot be executed"),
        ("folder/", 126, "is a directory"),
        ("folder", 127, "command not found"),
        ("es\x1bc", 127, "es\\\\x1bc: command not found"),
    ],
)
def test_programs_that_are_not_there(
    name: str, status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CommandError, match=words) as caught:
        find_program(name, {"PATH": str(tmp_path)})
    assert caught.value.exit_status == status


def test_it_waits_until_it_is_let_go(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = Command(["sh", "-c", 'printf "$ODD" >"$1"; exit 3', "sh", str(made)], ENVIRONMENT)
    assert command.poll() is None
    assert not made.exists()
    command.let_go()
    assert status_of(command) == 3
    assert made.read_text() == "a=b\n"
    assert command.ended
    command.signal(signal.SIGKILL)  # nothing: its pid is no longer its own


def test_its_end_by_a_signal() -> None:
    command = Command(["sleep", "1000"], ENVIRONMENT)
    command.let_go()
    command.signal(signal.SIGTERM)
    assert status_of(command) == 143


def test_given_up_it_never_runs(tmp_path: Path) -> None:
    command = Command(["touch", str(tmp_path / "made")], ENVIRONMENT)
    command.give_up()
    assert command.ended
    assert not (tmp_path / "made").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(command.pid, 0)


def test_killed_while_it_waited() -> None:
    command = Command(["true"], ENVIRONMENT)
    command.signal(signal.SIGKILL)
    os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT)
    command.let_go()
    assert status_of(command) == 137


def test_what_the_kernel_refuses(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    command = Command([str(script)], ENVIRONMENT)
    with pytest.raises(CommandError, match="No such file or directory") as caught:
        command.let_go()
    assert caught.value.exit_status == 126
    assert command.ended


def test_a_text_file_is_run_by_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('exit "$1"\n')
    script.chmod(0o755)
    command = Command([str(script), "7"], ENVIRONMENT)
    command.let_go()
    assert status_of(command) == 7


def test_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr("os.fork", fail)
    with pytest.raises(CommandError, match="cannot start a process: Resource temporarily unavailable"):
        Command(["true"], ENVIRONMENT)
    assert os.listdir("/proc/self/fd") == before
