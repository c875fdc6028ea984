"""The list of sessions: of one machine, and of several."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.driver import driven, until
from tracer.trace import Writer
from tui.widgets.table import KeyedTable


@pytest.mark.parametrize(
    ("other", "shown"), [("one", ["make", "pytest"]), ("two", ["one: make", "two: pytest"])]
)
async def test_sessions_of_several_machines_say_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str, shown: list[str]
) -> None:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path))
    for number, (host, command) in enumerate((("one", "make"), (other, "pytest"))):
        with Writer(tmp_path / f"{number}.trace") as writer:
            session = {"type": "session", "id": str(number), "host": host, "command": [command]}
            writer.append([session | {"start_ns": 10**18 - number}])
    async with driven() as at:
        await at.press("6")
        table = at.app.screen.query_one(KeyedTable)
        await until(lambda: table.row_count == 2)
        assert [str(table.get_row_at(row)[-1]) for row in range(2)] == shown
