"""`rubicon learn`: from a trace to a policy that the trace does not break, and another run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import wire
from tests.records import SESSION, execve, opened
from tracer import cli
from tracer.records import Record
from tracer.trace import Writer, ring_section


def recorded(path: Path, *records: Record) -> Path:
    variables = {"machine": {"workspace": ["/w"], "home": ["/home/ada"]}, "fixed": {}}
    session = {**SESSION, "abi": dict(wire.layout()), "rules": {"digest": "", "variables": variables}}
    writer = Writer(path)
    writer.append([session], ring_section([wire.encode(each) for each in records]))
    writer.append([{"type": "end"}])
    assert writer.close()
    return path


def test_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = recorded(tmp_path / "good.trace", execve(100, "/usr/bin/agent"), opened(100, "/w/a", 6))
    policy = tmp_path / "policy.yaml"
    assert cli.main(["learn", str(good), "-o", str(policy)]) == 0
    assert f"{good}: breaks nothing in {policy}" in capsys.readouterr().err
    assert "${workspace}/**" in policy.read_text()
    assert cli.main(["rules", "test", str(policy), str(good)]) == 0
    assert capsys.readouterr().out == ""
    other = recorded(
        tmp_path / "other.trace",
        execve(100, "/usr/bin/agent"),
        opened(100, "/w/b", 6),
        opened(100, "/etc/cron.d/x", 7),
    )
    assert cli.main(["rules", "test", str(policy), str(other)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "/etc/cron.d/x" in line
    assert cli.main(["learn", str(good), str(other)]) == 0
    out = capsys.readouterr().out
    assert "/etc/cron.d/x" in out
    assert "in other.trace" in out


def test_what_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = recorded(tmp_path / "good.trace", execve(100, "/usr/bin/agent"))
    assert cli.main(["learn", str(good), "-o", str(tmp_path / "no/x")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
