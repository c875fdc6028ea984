"""`rubicon correlate`: what it says, what it keeps beside the trace, and who reads that."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests import wire
from tests.records import BOOT_NS, SECOND_NS, SESSION, execve, fork, leave, opened
from tracer import cli
from tracer.trace import Writer, correlated_path, ring_section
from tui.feed import TraceSource

COMMANDS = ("make -j2", "echo \x1b[2J >x")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """An agent that had two commands run, at 1,000 and 1,010 seconds since boot; the first left something."""
    path = tmp_path / "t.trace"
    critical = [execve(200, "/bin/agent", time_ns=900 * SECOND_NS)]
    for pid, at, command in zip((1_000, 1_010), (1_000, 1_010), COMMANDS, strict=True):
        times = [at * SECOND_NS + add for add in (1, 2, SECOND_NS)]
        critical += [
            fork(pid, 200, times[0]),
            execve(pid, "/bin/sh", times[1], "sh", "-c", command),
            leave(pid, time_ns=times[2]),
        ]
    bulk = [opened(1_000, "/late", 1_000 * SECOND_NS + 5), opened(200, "/own", 1_005 * SECOND_NS)]
    with Writer(path) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append([], *(ring_section(list(map(wire.encode, each))) for each in (critical, bulk)))
        writer.append([{"type": "end"}], ring_section([]))
    return path


@pytest.fixture
def trajectory(tmp_path: Path) -> Path:
    path = tmp_path / "trajectory\x1b"
    begin = [(BOOT_NS + at * SECOND_NS) / 1e9 + 600 for at in (1_000, 1_010)]
    lines = [
        {"command": command, "tool": "sh", "begin": at, "end": at + 1.5}
        for command, at in zip(COMMANDS, begin, strict=True)
    ]
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"command": "gone", "step": "lost"}])
    )
    return path


def correlate(trace: Path, trajectory: Path, *options: str) -> int:
    words = ["--trajectory", str(trajectory), "--format", "jsonl", *options]
    return cli.main(["correlate", str(trace), *words])


def test_what_is_found_is_said_and_kept(
    trace: Path, trajectory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trace.read_bytes()
    assert correlate(trace, trajectory) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["STEP", "TOOL", "CONFIDENCE", "BY"],
        ["1", "sh", "99", "%"],
        ["2", "sh", "99", "%"],
    ]
    assert "echo \\x1b[2J >x" in out
    assert err == "rubicon: 2 of 3 steps found; the agent's clock was 600.250 s ahead (± 0.250 s)\n"
    assert trace.read_bytes() == before
    assert stat.S_IMODE(correlated_path(trace).stat().st_mode) == 0o600

    assert cli.main(["steps", str(trace)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["STEP", "TOOL", "SECONDS", "COMMANDS", "FILES", "PEERS", "VIOLATIONS", "CONFIDENCE"],
        ["1", "sh", "1.0", "1", "1", "0", "99", "%"],
        ["2", "sh", "1.0", "1", "0", "0", "99", "%"],
        ["(none)", "105.0", "1", "1", "0"],
    ]


def test_everybody_reads_it(trace: Path, trajectory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert correlate(trace, trajectory, "--json") == 0
    (first, _) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["command"], first["by"], first["pid"]) == ("make -j2", "script", 1_000)
    assert cli.main(["export", str(trace), "--format", "jsonl", "--where", "path:/late"]) == 0
    late = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (late["rubicon"]["step"], late["rubicon"]["step_confidence"]) == ("1", 0.99)
    assert late["gen_ai"] == {"tool": {"name": "sh"}}
    events = [event for batch in TraceSource(trace, follow=False) for event in batch.events]
    assert [event.step.id if event.step else None for event in events].count("1") == 4


def test_what_is_not_sure_enough_is_left_out(
    trace: Path, trajectory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert correlate(trace, trajectory, "--least", "100") == 0
    assert "0 of 3 steps found" in capsys.readouterr().err
    assert cli.main(["steps", str(trace), "--json"]) == 0
    assert [json.loads(line).get("step") for line in capsys.readouterr().out.splitlines()] == [None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not what rubicon correlate writes"),
        ("rubbish", "it is not what rubicon correlate writes"),
        ("é\n", "it is not what rubicon correlate writes"),
        ('{"type": "correlation", "version": 9}\n', "it is not what this version"),
        ('{"type": "correlation", "version": 1, "session": "other"}\n', "it is of another session"),
        ('{"type": "correlation", "version": 1, "session": "s1"}\n{"time_ns": "x"}\n', "a step in it has no"),
    ],
)
def test_what_is_not_of_this_trace_is_refused(
    trace: Path, trajectory: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    """And may be made anew."""
    correlated_path(trace).write_text(text, "utf-8")
    assert cli.main(["steps", str(trace)]) == 2
    assert f".correlated: {why}" in capsys.readouterr().err
    assert correlate(trace, trajectory) == 0
    assert cli.main(["steps", str(trace)]) == 0


def test_steps_in_it_that_are_none_are_passed_over(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = {"type": "correlation", "version": 1, "session": "s1"}
    wrong = {"type": "step", "op": "begin", "step": 7, "time_ns": 5}
    correlated_path(trace).write_text(f"{json.dumps(head)}\n{json.dumps(wrong)}\n")
    assert cli.main(["steps", str(trace), "--json"]) == 0
    assert [json.loads(line).get("step") for line in capsys.readouterr().out.splitlines()] == [None]


def test_a_trajectory_that_is_none(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").write_text("{}")
    assert correlate(trace, tmp_path / "none") == 2
    assert "there is no call in" in capsys.readouterr().err
    assert not correlated_path(trace).exists()
