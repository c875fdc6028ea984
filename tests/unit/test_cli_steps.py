"""`rubicon steps`: one line a step, what each did, and two that are called the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.records import SESSION, connect, execve, fork, opened, peer
from tracer import cli
from tracer.cli.steps import Account, document
from tracer.events import Step
from tracer.trace import Writer, ring_section

MS = 1_000_000


def told(op: str, time_ns: int, step: str, **facts: Any) -> dict[str, Any]:
    return {"type": "step", "op": op, "time_ns": time_ns, "step": step, **facts}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """An agent whose two episodes both call their step 1; what it does before them is of none."""
    path = tmp_path / "t.trace"
    steps = [
        told("begin", 10 * MS, "1", tool="Bash", episode="a"),
        told("end", 20 * MS, "1"),
        told("begin", 30 * MS, "1", tool="\x1b[2J", episode="b"),
        told("end", 40 * MS, "1"),
    ]
    critical = [
        execve(200, "/bin/agent", time_ns=1 * MS),
        fork(201, 200, time_ns=12 * MS),
        execve(201, "/bin/one", time_ns=13 * MS),
        connect(201, peer("2001:db8::1", 443), time_ns=14 * MS),
        fork(202, 200, time_ns=32 * MS),
        execve(202, "/bin/two", time_ns=33 * MS),
    ]
    bulk = [opened(202, "/work/\udcff\x7f", 34 * MS)]
    with Writer(path) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append(
            steps, ring_section(list(map(wire.encode, critical))), ring_section(list(map(wire.encode, bulk)))
        )
        writer.append([{"type": "end"}], ring_section([]))
    return path


def test_table(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["steps", str(trace)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["STEP", "TOOL", "SECONDS", "COMMANDS", "FILES", "PEERS", "VIOLATIONS"],
        ["1", "Bash", "0.0", "1", "0", "[2001:db8::1]:443", "0"],
        ["1", "\\x1b[2J", "0.0", "1", "1", "0"],
        ["(none)", "0.0", "1", "0", "0"],
    ]


def test_json_lines_are_safe_to_show(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["steps", str(trace), "--json"]) == 0
    out = capsys.readouterr().out
    assert all(" " <= character <= "~" for character in out.replace("\n", ""))
    first, other, rest = map(json.loads, out.splitlines())
    assert (first["episode"], other["episode"], "episode" in rest) == ("a", "b", False)
    assert (first["peers"], other["files"]) == (["[2001:db8::1]:443"], ["/work/\\xff\x7f"])


def test_exported_steps_of_one_name_stay_two(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(trace), "--format", "steps"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["step"], each.get("episode"), each["counts"].get("exec")) for each in found] == [
        ("1", "a", 1),
        ("1", "b", 1),
        (None, None, 1),
    ]


def test_a_step_that_did_nothing() -> None:
    assert document(Account(Step("7"))) == {
        "step": "7",
        "commands": 0,
        "files": [],
        "peers": [],
        "violations": 0,
    }
