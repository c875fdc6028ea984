"""The screen on a live session, in a real terminal: tmux, with a server of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Spawn
from .driver import PROGRAMS, PYTHON, Rubicon, acts, state, until
from .tmux import Tmux

SIZES = [(80, 24), (200, 50)]


@pytest.fixture(params=SIZES, ids=["80x24", "200x50"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path.resolve(), request.param)
    yield terminal
    terminal.close()


@pytest.fixture
def policy(rubicon: Rubicon) -> Path:
    return rubicon.policy(f"files:\n  write: ['{rubicon.work}/ok*']\n")


def frame(lines: list[str]) -> list[str]:
    """What must stay where it is whatever is shown in between: the first line and the last."""
    return [lines[0].split()[0], lines[-1].strip()]


def test_a_live_session(terminal: Tmux, policy: Path, rubicon: Rubicon, spawn: Spawn) -> None:
    target = spawn("sh", cwd=rubicon.work, env=rubicon.environment)
    assert target.stdin

    def does(line: str) -> None:
        assert target.stdin
        target.stdin.write(f"{line}\n".encode())
        target.stdin.flush()

    terminal.start(rubicon, "attach", f"pid:{target.pid}", "--policy", policy, "--trace", rubicon.trace)
    terminal.shows(f"pid:{target.pid}", "● live")
    does("echo >ok-first; sleep 1000 & pid=$!; echo >broken")
    lines = terminal.shows("ok-first", "broken", "sleep", "VIOLATED")
    before = frame(lines)

    does(f"{PYTHON} -I -S {PROGRAMS / 'hostile.py'}; echo >ok-second")
    lines = terminal.shows("ok-second", "\\x1b[2J")
    assert frame(lines) == before
    assert len(lines) <= terminal.size[1]
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert not any(line.startswith("rubicon: 0 events") for line in lines)

    does("kill $pid; echo >ok-third")
    terminal.shows("ok-third")
    terminal.press("q")
    lines = terminal.shows("the rest")
    assert terminal.status() == 0
    (summary,) = (line for line in lines if line.startswith("rubicon: "))
    assert "violations, 0 lost" in summary
    assert rubicon.verify() == (0, "intact")
    assert target.poll() is None


def test_watch_beside_a_session(terminal: Tmux, policy: Path, rubicon: Rubicon) -> None:
    """A second process follows the newest session and ends without ending that."""
    os.mkfifo(rubicon.work / "gate")
    program = "echo >broken; read line <gate; echo >ok-later; read line <gate"
    session = rubicon.start("run", "--policy", policy, "--", "sh", "-c", program)
    session.says("broken")
    terminal.start(rubicon, "watch")
    terminal.shows("● live", "VIOLATED", "broken")
    (rubicon.work / "gate").write_text("on\n")
    terminal.shows("ok-later")
    terminal.press("q")
    assert terminal.status() == 0
    assert session.process.poll() is None
    (rubicon.work / "gate").write_text("on\n")
    assert session.end() == 0


def test_the_end_of_what_is_watched_is_shown(terminal: Tmux, rubicon: Rubicon, spawn: Spawn) -> None:
    target = spawn("cat", cwd=rubicon.work)
    terminal.start(rubicon, "attach", f"pid:{target.pid}", "--trace", rubicon.trace)
    terminal.shows("● live", "cat")
    target.communicate()
    terminal.shows("all that was watched has ended")
    terminal.press("q")
    assert terminal.status() == 0


def test_a_screen_that_crashed(terminal: Tmux, policy: Path, rubicon: Rubicon, spawn: Spawn) -> None:
    target = spawn("sh", cwd=rubicon.work, env=rubicon.environment)
    assert target.stdin
    terminal.start(rubicon, "attach", f"pid:{target.pid}", "--policy", policy, "--trace", rubicon.trace)
    terminal.shows("● live")
    (screen,) = screens(rubicon.trace)
    os.kill(screen, 9)
    terminal.shows("the screen ended with status -9")
    target.stdin.write(b"echo >broken\n")
    target.stdin.flush()
    until(lambda: f"{rubicon.work}/broken" in "".join(terminal.shown()), "the violation, in wrapped lines")
    target.stdin.close()
    assert terminal.status() == 0
    terminal.shows("1 violation, 0 lost")
    terminal.press("typed", "Enter")  # and the terminal takes lines again
    terminal.shows("typed")


def screens(trace: Path) -> list[int]:
    """The processes that show this trace."""
    wanted = [b"watch", os.fsencode(trace)]
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(words[at : at + 2] == wanted for at in range(len(words))):
                found.append(int(name))
    return found


SMALL = pytest.mark.parametrize("terminal", SIZES[:1], ids=["80x24"], indirect=True)


@SMALL
def test_freeze_and_thaw_by_key(terminal: Tmux, rubicon: Rubicon, spawn: Spawn) -> None:
    """After a question; each is an event in the stream, and in the trace."""
    target = spawn("sh", "-c", "while :; do echo x >tick; read line; done", cwd=rubicon.work)
    assert target.stdin
    terminal.start(rubicon, "attach", f"pid:{target.pid}", "--trace", rubicon.trace)
    terminal.shows("● live", "tick")
    terminal.press("F")
    terminal.shows("freeze all that is watched")
    terminal.press("y")
    terminal.shows("■ freeze", "froze all")
    until(lambda: state(target.pid) == "T", "it to be stopped")
    terminal.press("T")
    terminal.shows("let it go on")
    terminal.press("y")
    terminal.shows("■ thaw")
    target.stdin.write(b"\n")
    target.stdin.flush()
    terminal.press("q")
    assert terminal.status() == 0
    done = [each["event"]["action"] for each in acts(rubicon.export())]
    assert done == ["freeze", "thaw"]


@SMALL
def test_a_command_in_a_pane(terminal: Tmux, rubicon: Rubicon) -> None:
    """It has a terminal, with its colours; keys go there when they are to; its status is that of `run`."""
    program = "test -t 0 && printf '\\033[32mgreen\\033[0m\\n'; while read line; do echo said $line; "
    program += "[ $line = stop ] && exit 7; done"
    terminal.start(rubicon, "run", "--tui", "--trace", rubicon.trace, "--", "sh", "-c", program)
    terminal.shows("0 Command", "green", "i types into it")
    terminal.press("i")
    terminal.shows("every key goes to the command")
    terminal.press("quick", "Enter")
    terminal.shows("said quick")
    terminal.press("stop", "Enter")
    terminal.shows("said stop", "the command has ended with status 7")
    terminal.press("q")
    assert terminal.status() == 7
    assert rubicon.verify() == (0, "intact")


@SMALL
def test_a_pane_that_is_closed_gives_the_terminal_to_the_command(terminal: Tmux, rubicon: Rubicon) -> None:
    program = "read first; echo now $first; exit 3"
    terminal.start(rubicon, "run", "--tui", "--trace", rubicon.trace, "--", "sh", "-c", program)
    terminal.shows("i types into it")
    terminal.press("q")
    until(lambda: not screens(rubicon.trace), "the screen to end")
    terminal.press("mine", "Enter")
    terminal.shows("now mine")
    assert terminal.status() == 3


@SMALL
def test_watch_without_a_session_says_how_to_start_one(terminal: Tmux, rubicon: Rubicon) -> None:
    terminal.start(rubicon, "watch")
    terminal.shows("There is no session yet", "rubicon run -- my-agent")
    session = rubicon.start("run", "--", "sh", "-c", "echo >ok; sleep 1000")
    terminal.shows("● live")
    terminal.press("Enter")
    terminal.shows("1 Live", "sleep 1000")
    terminal.press("q")
    assert terminal.status() == 0
    session.process.terminate()
    session.end()
