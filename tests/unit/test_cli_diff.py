"""`rubicon diff`: only what is really new, whatever it is called in this run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.records import SESSION, connect, exec_failed, execve, opened, peer
from tracer import cli
from tracer.records import Kind, Record
from tracer.trace import Writer, ring_section

RULE = {"id": "r-1", "name": "Reverse \x1b[2J tunnel", "level": "high", "kind": "detection"}


def written(
    path: Path, workspace: str, records: Sequence[Record], *context: dict[str, Any], **more: Any
) -> Path:
    variables = {"machine": {"workspace": [workspace], "home": ["/root"]}, "fixed": {}}
    with Writer(path) as writer:
        writer.append([SESSION | {"abi": wire.layout(), "rules": {"variables": variables}}])
        writer.append(list(context), ring_section(list(map(wire.encode, records))), **more)
        writer.append([{"type": "judged", "block": 1}, {"type": "end"}], ring_section([]))
    return path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return written(
        tmp_path / "first",
        "/work/1",
        [
            execve(200, "/usr/bin/python3.11", 1, "python3", "a.py"),
            opened(200, "/work/1/out", 2),
            opened(200, "/tmp/tmpab12cd34/x", 3),
            opened(200, "/root/.cache/pip/1.2.3/log", 4),
            connect(200, peer("127.0.0.1", 40_001), 5),
            connect(200, peer("198.51.100.7", 443), 6),
        ],
    )


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """The same, elsewhere and by other made-up names; then more."""
    return written(
        tmp_path / "second",
        "/work/two",
        [
            execve(300, "/usr/bin/python3.12", 1, "python3", "b.py"),
            opened(300, "/work/two/out", 2),
            opened(300, "/tmp/tmpzz98yy76/x", 3),
            opened(300, "/root/.cache/pip/2.0.1/log", 4),
            connect(300, peer("127.0.0.1", 50_555), 5),
            connect(300, peer("198.51.100.7", 443), 6),
            connect(300, peer("127.0.0.1", 22), 7),
            connect(300, peer("2001:db8::7", 22), 8),
            exec_failed(300, "none", 9),
            opened(300, "/work/out", 10),
            opened(300, "/etc/shadow", 11, result=-13),
            execve(301, "/tmp/\x1b[2Jminer", 12, parent_pid=300),
            opened(301, "/work/out", 13),
        ],
        {"type": "violation", "event": 8, "rule": RULE, "matched": [], "summary": "x"},
    )


def diff(*words: str | Path) -> int:
    return cli.main(["diff", *map(str, words)])


def test_what_is_new(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(first, second) == 3
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "programs that ran:",
        "  /tmp/\\x1b\\\\[2Jminer  once  by \\x1b[2Jminer",
        "peers:",
        "  localhost:22      once  by python3.12",
        "  [2001:db8::7]:22  once  by python3.12",
        "files that were changed:",
        "  /work/out  2 times  by python3.12, \\x1b[2Jminer",
        "rules that were broken:",
        "  Reverse \\x1b[2J tunnel (r-1)  once  by python3.12",
    ]
    assert err == "rubicon: 5 new\n"


def test_as_json(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(first, second, "--json") == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["kind"], each["count"]) for each in found] == [
        ("executable", 1),
        ("peer", 1),
        ("peer", 1),
        ("path", 2),
        ("rule", 1),
    ]
    assert found[3] == {
        "kind": "path",
        "name": "/work/out",
        "first": "/work/out",
        "time": "2026-01-01T00:00:00.000000010Z",
        "action": "file_write",
        "count": 2,
        "programs": ["/usr/bin/python3.12", "/tmp/\x1b[2Jminer"],
        "command_line": "python3 b.py",
    }


def test_nothing_new(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(second, first) == 0
    assert capsys.readouterr() == ("", "rubicon: nothing new\n")


def test_what_is_missing_from_either_is_said(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the first it may look new in the second, of the second it is not compared."""
    cut = tmp_path / "cut"
    with Writer(cut) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        records = [execve(200, "/usr/bin/python3.11", 1), connect(200, peer("192.0.2.1", 1), kind=Kind.BIND)]
        writer.append([], ring_section(list(map(wire.encode, records))), lost_bulk=17)
    assert diff(cut, first) == 3
    assert [line.partition("cut: ")[2] for line in capsys.readouterr().err.splitlines()[:3]] == [
        "17 records were lost",
        "no end record: the session was cut off, or it still runs",
        "events not judged by any rule: 2",
    ]


def test_what_is_no_trace(first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").write_text("none")
    assert diff(first, tmp_path / "none") == 2
    assert "is not a trace" in capsys.readouterr().err
