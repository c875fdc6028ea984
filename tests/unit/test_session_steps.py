"""Steps as they are told: by the socket, the library, `rubicon mark`, and an agent's hooks."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tracer
from tracer import marking
from tracer.cli import main
from tracer.control import ask_at, steps_path
from tracer.errors import RubiconError
from tracer.session.steps import OPEN_MAX, Steps


class Told:
    def __init__(self, trace: Path) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.socket = steps_path(trace)
        self.steps = Steps(trace, self.records.append)

    def words(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(record.get(name) for name in ("op", "step", *names)) for record in self.records]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    made = Told(tmp_path / "s.trace")
    monkeypatch.setenv(marking.ENVIRONMENT, str(made.socket))
    monkeypatch.delenv("TRACEPARENT", raising=False)
    yield made
    made.steps.close()
    assert not made.socket.exists()


def test_the_socket_takes_nothing_but_steps(told: Told) -> None:
    assert stat.S_IMODE(told.socket.stat().st_mode) == 0o600
    assert not ask_at(told.socket, "kill").ok
    assert not ask_at(told.socket, "mark", op="begin", step="x" * 257).ok
    assert not ask_at(told.socket, "mark", op="begin", traceparent="no").ok
    assert (
        ask_at(told.socket, "mark", op="begin", pid=2**22 + 1).message == f"there is no process {2**22 + 1}"
    )
    assert told.records == []


def test_steps_get_numbers_and_end_newest_first(told: Told) -> None:
    assert [
        marking.begin(told.socket),
        marking.begin(told.socket, step="own"),
        marking.begin(told.socket),
    ] == [
        "1",
        "own",
        "3",
    ]
    assert [marking.end(told.socket), marking.end(told.socket, step="1"), marking.end(told.socket)] == [
        "3",
        "1",
        "own",
    ]
    with pytest.raises(RubiconError, match="no such step is open"):
        marking.end(told.socket)
    times = [record["time_ns"] for record in told.records]
    assert times == sorted(times)


def test_too_many_open_steps_are_refused(told: Told) -> None:
    for _ in range(OPEN_MAX):
        marking.begin(told.socket)
    with pytest.raises(RubiconError, match="steps are open"):
        marking.begin(told.socket)
    assert len(told.records) == OPEN_MAX


def fails_in_a_step() -> None:
    with tracer.step(tool="Bash", command="false", pid=os.getpid()) as step:
        assert step == "1"
        raise ZeroDivisionError


def test_library_tells_the_end_also_of_what_fails(told: Told) -> None:
    with pytest.raises(ZeroDivisionError):
        fails_in_a_step()
    assert told.words("tool", "command", "pid") == [
        ("begin", "1", "Bash", "false", os.getpid()),
        ("end", "1", None, None, None),
    ]


def test_library_does_nothing_where_nobody_watches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(marking.ENVIRONMENT, raising=False)
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path))
    with tracer.step() as step:
        assert step == ""


def test_mark_command(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert (
        main(["mark", "begin", "--tool", "Bash", "--episode", "e", "--call-id", "c", "--traceparent", parent])
        == 0
    )
    assert capsys.readouterr().out == "1\n"
    assert main(["mark", "end", "--call-id", "c"]) == 0
    assert told.words("tool", "episode", "call_id", "trace_id", "span_id")[0] == (
        "begin", "1", "Bash", "e", "c", "ab" * 16, "cd" * 8,
    )  # fmt: skip
    assert main(["mark", "end"]) == 1
    assert "no such step is open" in capsys.readouterr().err


def hook(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return main(["hook", "claude-code"])


def test_claude_code_tells_its_calls(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    call = {
        "session_id": "s1",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_use_id": "toolu_1",
        "tool_input": {"command": "make all", "description": "builds"},
        "cwd": "/work",
    }
    assert hook(monkeypatch, json.dumps(call)) == 0
    assert hook(monkeypatch, json.dumps(call | {"hook_event_name": "PostToolUse", "tool_response": {}})) == 0
    assert hook(monkeypatch, json.dumps(call | {"hook_event_name": "Notification"})) == 0
    assert told.words("tool", "episode", "call_id", "command") == [
        ("begin", "1", "Bash", "s1", "toolu_1", "make all"),
        ("end", "1", None, None, "toolu_1", None),
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"hook_event_name": 7}', '{"hook_event_name": "PostToolUse"}']
)
def test_a_hook_never_fails_the_agent(
    told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert hook(monkeypatch, text) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("rubicon: no step told: ")
    assert told.records == []
