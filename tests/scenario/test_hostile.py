"""Names an agent chose to harm who looks at them: harmless wherever they are shown, and kept to the byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tracer.events import Action, Exec, File
from tracer.pipeline import open_trace

from .driver import MAIN, PROGRAMS, PYTHON, Rubicon, has_no_controls
from .programs.hostile import NAMES


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Rubicon:
    """A session in which everything that could be has a hostile name; what it said is in `said`."""
    rubicon = Rubicon(tmp_path_factory.mktemp("hostile").resolve())
    rubicon.work.mkdir()
    policy = rubicon.policy("files:\n  write: [/nowhere/**]\nprocess:\n  exec: [/nowhere/**]\n")
    options = ["--policy", policy, "--jsonl", rubicon.folder / "lines", "--trace", trace_of(rubicon)]
    done = capture(rubicon, "run", *options, "--", PYTHON, "-I", "-S", PROGRAMS / "hostile.py", *NAMES)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    (rubicon.folder / "said").write_bytes(done.stderr)
    return rubicon


def trace_of(rubicon: Rubicon) -> Path:
    return rubicon.folder / os.fsdecode(b"t\x1b[2J\xff.trace")


def capture(rubicon: Rubicon, *argv: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
    environment = rubicon.environment | {"RUBICON_TRACES": str(rubicon.folder)}
    return subprocess.run([*MAIN, *argv], cwd=rubicon.work, env=environment, capture_output=True, check=False)


def test_the_lines_of_a_session(played: Rubicon) -> None:
    said = (played.folder / "said").read_bytes()
    assert has_no_controls(said)
    lines = said.decode().splitlines()
    assert all(line.startswith("rubicon: ") for line in lines)
    written = [line for line in lines if str(played.work) in line and "esc\\x1b[2J" in line]
    assert written, lines
    assert any("line\\nrubicon: 0 events" in line for line in lines)
    assert any("bytes\\xff\\xfe" in line and "[bold red]" in line and "\\u202egpj" in line for line in lines)


@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["verify", "--json"],
        ["replay"],
        ["replay", "--policy", "../policy.yaml"],
        ["replay", "--policy", "../policy.yaml", "--jsonl"],
        ["export", "--format", "jsonl"],
        ["sessions"],
        ["sessions", "--json"],
        ["watch"],
    ],
    ids=" ".join,
)
def test_every_other_command(command: list[str], played: Rubicon) -> None:
    words = command if command[0] == "sessions" else [*command, trace_of(played)]
    done = capture(played, *words)
    assert done.returncode == (2 if command[0] == "watch" else 0), done.stderr
    assert done.stdout or done.stderr
    assert has_no_controls(done.stdout)
    assert has_no_controls(done.stderr)
    if "--json" in command or "jsonl" in command or "--jsonl" in command:
        assert done.stdout.isascii()


def test_json_lines(played: Rubicon) -> None:
    data = (played.folder / "lines").read_bytes()
    assert data.isascii()
    assert has_no_controls(data)


def test_errors_that_name_what_the_user_gave(played: Rubicon) -> None:
    for words in (
        ["run", "--trace", NAMES[0], "--", NAMES[1]],
        ["attach", b"pid:" + NAMES[1]],
        ["replay", NAMES[2]],
    ):
        done = capture(played, *words)
        assert done.returncode in {2, 127}
        assert has_no_controls(done.stderr)
        assert done.stderr.count(b"\n") == 1


def test_the_trace_keeps_every_byte(played: Rubicon) -> None:
    with open_trace(trace_of(played)) as trace:
        events = [event for event, _violations in trace.items()]
    folder = os.fsencode(played.work)
    paths = [
        os.fsencode(event.detail.path)
        for event in events
        if isinstance(event.detail, File) and event.action is Action.FILE_WRITE
    ]
    assert paths == [folder + b"/" + name for name in NAMES]
    arguments = [
        [os.fsencode(argument) for argument in event.process.args]
        for event in events
        if isinstance(event.detail, Exec)
    ]
    assert arguments[0][-3:] == list(NAMES)
    assert arguments[-1] == [b"/bin/true", *NAMES]
