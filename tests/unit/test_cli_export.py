"""`rubicon export`: where the stream goes, and what it never does."""

from __future__ import annotations

import argparse
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from tests.export_samples import events, items
from tracer.cli import export as command
from tracer.errors import RubiconError, UsageError
from tracer.events import Event, Taken, Violation
from tracer.trace import Damage, DamageKind


class Recorded:
    """Stands in for a `RecordedTrace`: the sample events."""

    def __init__(self) -> None:
        self.session = {"type": "session", "id": "s", "targets": ["pid:100"], "tier": "B", "start_ns": 0}
        self.losses = {"critical": 0, "bulk": 5}
        self.damage: Damage | None = None
        self.ended, self.unjudged, self.bad_records = True, 0, 0
        self.progress = (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def items(self) -> Iterator[tuple[Event, Sequence[Violation]]]:
        yield from items()

    def take_actions(self) -> Iterator[Taken]:
        yield from ()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    made = Recorded()
    monkeypatch.setattr(command, "open_trace", lambda _: made)
    monkeypatch.setattr(command, "find", Path)
    return made


def rubicon(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["export", *arguments])
    status = args.handler(args)
    assert isinstance(status, int)
    return status


def summary_of(text: str) -> dict[str, Any]:
    summary = json.loads(text.splitlines()[-1])["rubicon"]["summary"]
    assert isinstance(summary, dict)
    return summary


def test_stdout_is_data(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon("t", "--format", "jsonl") == 0
    captured = capsys.readouterr()
    assert summary_of(captured.out)["losses"] == recorded.losses
    assert captured.err == ""


def test_file_is_private_and_holds_only_violations(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "t").touch()
    out = tmp_path / "out.jsonl"
    trace = str(tmp_path / "t")
    assert rubicon(trace, "--format", "jsonl", "-o", str(out), "--only", "violations") == 0
    assert stat.S_IMODE(out.stat().st_mode) & 0o077 == 0
    assert len(out.read_text().splitlines()) == 3 + 1


def test_damage_is_told_on_stderr(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.damage = Damage(DamageKind.TORN, 3, 900, "the block ends early")
    assert rubicon("t", "--format", "jsonl") == 0
    captured = capsys.readouterr()
    assert "the block ends early" in captured.err
    assert summary_of(captured.out)["damage"] == "the block ends early"


def test_a_cut_trace_is_told_with_what_nobody_judged(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.ended, recorded.unjudged, recorded.bad_records = False, 7, 2
    assert rubicon("t", "--format", "jsonl") == 0
    captured = capsys.readouterr()
    summary = summary_of(captured.out)
    assert (summary["unjudged"], summary["bad_records"]) == (7, 2)
    assert "cut off" in summary["damage"]
    assert captured.err.splitlines() == [
        "rubicon: t: no end record: the session was cut off, or it still runs",
        "rubicon: t: events not judged by any rule: 7",
        "rubicon: t: records that cannot be read: 2",
    ]


def test_never_writes_over_the_trace(recorded: Recorded, tmp_path: Path) -> None:
    trace = tmp_path / "t"
    trace.write_text("evidence")
    os.link(trace, tmp_path / "other-name")
    for out in (trace, tmp_path / "other-name"):
        with pytest.raises(UsageError, match="is the trace itself"):
            rubicon(str(trace), "--format", "jsonl", "-o", str(out))
    assert trace.read_text() == "evidence"


def test_unwritable_output_is_one_line(recorded: Recorded, tmp_path: Path) -> None:
    with pytest.raises(RubiconError, match=r"cannot write .*No such file or directory"):
        rubicon("t", "--format", "jsonl", "-o", str(tmp_path / "no" / "out"))


def test_unknown_format_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        rubicon("t", "--format", "cobol")
    assert stop.value.code == 2
    assert "cobol" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As in `rubicon export ... | head`: a pipe nobody reads any more, in a process of its own."""
    program = (
        "import sys\n"
        "from tests.export_samples import items\n"
        "from tracer.cli import export as command, main\n"
        "class Recorded:\n"
        "    session, losses, damage = {}, {}, None\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *error): pass\n"
        "    def take_actions(self): return ()\n"
        "    def items(self):\n"
        "        for _ in range(500): yield from items()\n"
        "command.open_trace = lambda path: Recorded()\n"
        "command.find = lambda word: word\n"
        "sys.exit(main(['export', 't', '--format', 'jsonl']))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_where_leaves_out_the_rest(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon("t", "--format", "jsonl", "--where", "action:connect dest.port:*") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [line["event"]["action"] for line in lines]
    assert set(kinds[:-1]) == {"connect"}
    assert set(lines[-1]["rubicon"]["summary"]["actions"]) == {"connect"}
    assert lines[-1]["rubicon"]["summary"]["losses"] == recorded.losses


def test_a_wrong_filter_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rubicon("t", "--format", "jsonl", "--where", "exec:curl")
    assert ended.value.code == 2
    assert "there is no field exec" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--redact",)])
def test_every_format_is_written(recorded: Recorded, tmp_path: Path, options: tuple[str, ...]) -> None:
    for name in command.FORMATS:
        out = tmp_path / f"out.{name}"
        assert rubicon("t", "--format", name, "-o", str(out), *options) == 0
        assert out.stat().st_size
        assert stat.S_IMODE(out.stat().st_mode) & 0o077 == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_file_format_wants_a_file_and_a_url_wants_otlp(recorded: Recorded) -> None:
    with pytest.raises(UsageError, match="sqlite is a file of its own"):
        rubicon("t", "--format", "sqlite")
    with pytest.raises(UsageError, match="only otlp"):
        rubicon("t", "--format", "jsonl", "-o", "http://127.0.0.1:1")


def test_what_fails_halfway_leaves_no_half_file(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").touch()
    out = tmp_path / "out.db"
    out.write_bytes(b"an older export")

    def broken() -> Iterator[tuple[Event, Sequence[Violation]]]:
        yield items()[0]
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(recorded, "items", broken)
    with pytest.raises(RubiconError, match="Input/output error"):
        rubicon(str(tmp_path / "t"), "--format", "sqlite", "-o", str(out))
    assert out.read_bytes() == b"an older export"
    assert {path.name for path in tmp_path.iterdir()} == {"t", "out.db"}


@pytest.mark.parametrize(
    ("since", "until", "sequences"),
    [
        ("2026-01-01T00:00:00.000003Z", "2026-01-01T00:00:00.000005", [3, 4]),
        ("2026-01-01T01:00:00.000003+01:00", "+0.000004s", [3]),
    ],
)
def test_only_a_span_of_time(
    recorded: Recorded, capsys: pytest.CaptureFixture[str], since: str, until: str, sequences: list[int]
) -> None:
    recorded.session["start_ns"] = events()[0].time_ns - 1_000
    assert rubicon("t", "--format", "jsonl", "--since", since, "--until", until) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"]["sequence"] for line in lines[:-1]] == sequences


def test_a_wrong_time_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        rubicon("t", "--format", "jsonl", "--since", "yesterday")
    assert stop.value.code == 2
    assert "2026-01-31T14:00:00Z" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["jsonl", "ocsf", "otlp", "csv", "cef", "steps"])
def test_redaction_hides_a_secret_from_every_format(
    recorded: Recorded, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In arguments, in a path and in the words about a violation."""
    event, violations = items()[4]
    args = ("curl", "--password", "hunter2", "https://ada:hunter2@x.example/")
    told = replace(event, process=replace(event.process, args=args))
    words = replace(violations[0], event=told, summary="curl --password=hunter2 opened a tunnel")
    monkeypatch.setattr(recorded, "items", lambda: iter([(told, (words,))]))
    assert rubicon("t", "--format", name) == 0
    assert "hunter2" in capsys.readouterr().out
    assert rubicon("t", "--format", name, "--redact") == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert "[redacted:" in shown
