"""What `run` and `attach` share: the voice, the exit status, and a session that cannot begin."""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.export_samples import SESSION, items
from tracer.cli import loading
from tracer.cli.live import Live, Voice, describe, open_jsonl, verdict_status
from tracer.cli.loading import Loading, add_options
from tracer.errors import KernelError, RubiconError, RuleFileError, TraceError, UsageError
from tracer.events import Action, Level, Violation
from tracer.session import Outcome

CLEAN = Outcome({Action.EXEC: 2}, {}, {"critical": 0, "bulk": 0})
VIOLATED = replace(CLEAN, violations={Level.MEDIUM: 1, Level.LOW: 2})
LOST = {"losses": {"critical": 0, "bulk": 1}}


def sample_violation() -> Violation:
    return next(violation for _event, violations in items() for violation in violations)


class Broken(io.StringIO):
    """A terminal, or a reader, that is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


# ---- the voice


def test_a_violation_is_a_line_for_people_and_one_for_programs() -> None:
    lines, said = io.StringIO(), io.StringIO()
    violation = sample_violation()
    Voice(lines, SESSION, said).violations([violation])
    assert said.getvalue() == f"rubicon: {describe(violation)}\n"
    assert json.loads(lines.getvalue())["event"]["kind"] == "alert"


def test_quiet_is_for_people_alone() -> None:
    lines, said = io.StringIO(), io.StringIO()
    voice = Voice(lines, SESSION, said)
    voice.quiet = True
    voice.violations([sample_violation()])
    voice.notice("hush")
    assert said.getvalue() == ""
    assert lines.getvalue().count("\n") == 1


def test_what_cannot_be_said_ends_nothing() -> None:
    voice = Voice(None, SESSION, Broken())
    voice.violations([sample_violation()])
    voice.notice("anybody?")


def test_no_more_json_lines_is_said_once() -> None:
    said = io.StringIO()
    voice = Voice(Broken(), SESSION, said)
    voice.violations([sample_violation()] * 3)
    assert said.getvalue().count("no more JSON lines: [Errno 32] Broken pipe") == 1


def test_notices_are_harmless() -> None:
    said = io.StringIO()
    Voice(None, SESSION, said).notice("a\x1b[2J\nb")
    assert said.getvalue() == "rubicon: a\\x1b[2J\\nb\n"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (CLEAN, "2 events, 0 violations, 0 lost; trace /t\\x1b"),
        (replace(VIOLATED, violations={Level.LOW: 1}, **LOST), "2 events, 1 violation, 1 lost; trace"),
        (replace(CLEAN, unjudged=1234), "0 lost, 1,234 not judged; trace"),
    ],
)
def test_the_last_words(outcome: Outcome, words: str) -> None:
    said, lines = io.StringIO(), io.StringIO()
    Voice(lines, SESSION, said).closing(outcome, Path("/t\x1b"))
    assert words in said.getvalue()
    assert json.loads(lines.getvalue())["rubicon"]["summary"]["events"] == 2


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (CLEAN, "clean"),
        (VIOLATED, "violated"),
        (replace(CLEAN, **LOST), "incomplete"),
        (replace(CLEAN, unjudged=1), "incomplete"),
        (replace(CLEAN, bad_records=1), "incomplete"),
        (replace(CLEAN, written=False), "incomplete"),
    ],
)
def test_the_verdict_for_programs(outcome: Outcome, verdict: str) -> None:
    lines = io.StringIO()
    Voice(lines, SESSION, io.StringIO()).closing(outcome, Path("/t"))
    assert json.loads(lines.getvalue())["rubicon"]["summary"]["verdict"] == verdict


# ---- the exit status


@pytest.mark.parametrize(
    ("outcome", "fail_on", "status"),
    [
        (CLEAN, None, 0),
        (VIOLATED, None, 0),
        (replace(CLEAN, **LOST), None, 0),
        (CLEAN, Level.INFORMATIONAL, 0),
        (VIOLATED, Level.LOW, 3),
        (VIOLATED, Level.MEDIUM, 3),
        (VIOLATED, Level.HIGH, 0),
        (replace(VIOLATED, **LOST), Level.MEDIUM, 3),
        (replace(VIOLATED, **LOST), Level.HIGH, 4),
        (replace(CLEAN, unjudged=1), Level.CRITICAL, 4),
        (replace(CLEAN, written=False), Level.CRITICAL, 4),
    ],
)
def test_what_fail_on_makes_of_it(outcome: Outcome, fail_on: Level | None, status: int) -> None:
    assert verdict_status(outcome, fail_on) == status


# ---- JSON lines


def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    with open_jsonl(str(tmp_path / "lines")) as out:
        out.write("{}\n")
    assert (tmp_path / "lines").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_made() -> None:
    with pytest.raises(RubiconError, match="/nowhere/x: No such file or directory"):
        open_jsonl("/nowhere/x")


def test_stdout_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    with open_jsonl("-") as out:
        out.write("{}\n")
    os.fstat(1)
    assert capfd.readouterr().out == "{}\n"


def test_no_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(UsageError, match="stdout is closed"):
        open_jsonl("-")


# ---- a session that cannot begin


class Source:
    """Loaded probes, of which only the closing is looked at."""

    def __init__(self) -> None:
        self.closed = 0
        self.abi: dict[str, Any] = {"version": 1, "structs": {}}
        self.engine: dict[str, Any] = {"pid": 7, "start_ns": 7, "bpf": {}}
        self.loader, self.tier, self.unseen = "core", "B", ()

    def tell_reads(self, _names: object) -> None:
        """Of no interest here."""

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    source = Source()
    monkeypatch.setattr(loading, "open_source", lambda _loader: source)
    return source


Options = Callable[..., argparse.Namespace]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return lambda *words: parser.parse_args(["--trace", str(tmp_path / "t.trace"), *map(str, words)])


def test_bad_rules_begin_nothing(source: Source, options: Options, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text("nonsense: 1\n")
    with pytest.raises(RuleFileError):
        Live(options("--policy", tmp_path / "policy", "--jsonl", tmp_path / "lines"), Loading(), ["run"])
    assert source.closed == 1
    assert os.listdir(tmp_path) == ["policy"]


def test_a_trace_that_cannot_be_made(source: Source, options: Options, tmp_path: Path) -> None:
    (tmp_path / "t.trace").write_text("precious")
    with pytest.raises(TraceError, match="File exists"):
        Live(options(), Loading(), ["run"])
    assert source.closed == 1
    assert (tmp_path / "t.trace").read_text() == "precious"


def test_probes_that_cannot_be_used(source: Source, options: Options, tmp_path: Path) -> None:
    source.abi["version"] = 99
    with pytest.raises(RubiconError):
        Live(options(), Loading(), ["run"])
    assert source.closed == 1


def test_no_probes(options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_loader: str) -> Source:
        raise KernelError("no BTF")

    monkeypatch.setattr(loading, "open_source", fail)
    with pytest.raises(KernelError, match="no BTF"):
        Live(options(), Loading(), ["run"])
    (tmp_path / "policy").write_text("nonsense: 1\n")
    with pytest.raises(RuleFileError):  # what the user can mend comes first
        Live(options("--policy", tmp_path / "policy"), Loading(), ["run"])
    assert os.listdir(tmp_path) == ["policy"]


def test_levels(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    assert options("--fail-on", "high").fail_on is Level.HIGH
    with pytest.raises(SystemExit):
        options("--fail-on", "worst")
    assert "informational" in capsys.readouterr().err
