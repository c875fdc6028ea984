"""`rubicon replay`: a recorded trace judged again, by anybody, anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import wire
from tests.records import SESSION, execve, opened
from tracer import cli
from tracer.trace import Writer, ring_section

PATH = "/work/b\x1b[2J\n\udcff"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """An exec, and a file with a hostile name; no end record."""
    path = tmp_path / "t\x1b.trace"
    with Writer(path) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append([], ring_section([wire.encode(execve(200, "/bin/agent"))]))
        writer.append([], ring_section([]), ring_section([wire.encode(opened(200, PATH, 5))]))
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text("files:\n  write: [/nowhere/**]\n")
    return path


def end(path: Path) -> None:
    """The same trace, as a session that came to its end leaves it."""
    with Writer(path.with_suffix(".ended")) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append([{"type": "end"}], ring_section([b"\x01"]))
    path.with_suffix(".ended").replace(path)


def test_violations_are_lines(trace: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(trace), "--policy", str(policy)]) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert line.startswith("HIGH ")
    assert "/work/b\\x1b[2J\\n\\xff" in line
    assert line.isprintable()
    assert err.splitlines()[0] == "rubicon: 1 violation"
    assert "no end record" in err.splitlines()[1]
    assert all(each.isprintable() for each in err.splitlines())


def test_violations_as_json(trace: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(trace), "--policy", str(policy), "--jsonl"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["file"]["path"] == "/work/b\x1b[2J\n\\xff"


def test_other_rules_other_violations(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(trace)]) == 0
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", "rubicon: 0 violations")


def test_records_that_cannot_be_read_are_told(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end(trace)
    assert cli.main(["replay", str(trace)]) == 0
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"rubicon: {trace.parent}/t\\x1b.trace: records that cannot be read: 1"
    ]


def test_what_is_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("no trace")
    assert cli.main(["replay", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == f"rubicon: {tmp_path}/x is not a trace\n"
