"""`rubicon query`: questions, their answers in each form, and questions that are none."""

from __future__ import annotations

import argparse
import csv
import io
import json

import pytest

from tests.unit.test_cli_export import Recorded
from tracer.cli import query as command
from tracer.errors import UsageError


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recorded()
    monkeypatch.setattr(command, "open_trace", lambda _: made)
    monkeypatch.setattr(command, "find", str)


def rubicon(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["query", "t", *arguments])
    status = args.handler(args)
    assert isinstance(status, int)
    return status


def test_answer_is_csv_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon("SELECT destination_port AS port, connects FROM peers ORDER BY ALL LIMIT 2") == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["port", "connects"],
        ["22", "1"],
        ["53", "0"],
    ]


def test_options_may_stand_before_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        rubicon(
            "--as",
            "jsonl",
            "--where",
            "action:connect",
            "SELECT action, count(*) AS n FROM events GROUP BY 1",
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out) == {"action": "connect", "n": 6}


def test_csv_keeps_numbers_and_disarms_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Also the names of columns, which are the question's."""
    asked = "SELECT -5 AS \"=1+1\", -2.50 AS cost, '=2+2' AS text, NULL AS none, [1, 2] AS list"
    assert rubicon("--as", "csv", asked) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["'=1+1", "cost", "text", "none", "list"],
        ["-5", "-2.50", "'=2+2", "", "[1, 2]"],
    ]


def test_table_shows_hostile_names_inert(capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon("--as", "table", "SELECT file_path FROM violations WHERE file_path IS NOT NULL") == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown


def test_long_tables_say_that_there_is_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon("--as", "table", "SELECT unnest(range(2000)) AS number") == 0
    captured = capsys.readouterr()
    assert "999" in captured.out
    assert "1500" not in captured.out
    assert "the first 1,000 rows" in captured.err


@pytest.mark.parametrize(
    "question", ["SELEC 1", "SELECT nothing FROM events", "SELECT 1/0::INT FROM missing"]
)
def test_a_wrong_question_is_bad_usage(question: str) -> None:
    with pytest.raises(UsageError, match="the SQL: "):
        rubicon(question)


def test_help_names_every_view(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        rubicon("--help")
    shown = capsys.readouterr().out
    assert all(view in shown for view in command.VIEWS)
    assert "process_command_line" in shown
