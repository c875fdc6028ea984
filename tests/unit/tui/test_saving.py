"""Files somebody wants of a session: they say what is missing, as every export does."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests import wire
from tests.records import SESSION, connect, execve, peer
from tracer.trace import Writer, ring_section
from tracer.where import Where
from tui.saving import new_file, save_events


def test_what_passes_is_saved_with_what_is_missing(tmp_path: Path) -> None:
    """Of a session that was cut off and lost records."""
    trace, out = tmp_path / "t.trace", tmp_path / "out.jsonl"
    records = [execve(200, "/bin/agent"), connect(200, peer("192.0.2.1", 22))]
    with Writer(trace) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append([], ring_section(list(map(wire.encode, records))), lost_bulk=17)
    assert save_events(trace, Where("action:connect"), out) == 1
    event, last = map(json.loads, out.read_text().splitlines())
    assert event["destination"]["ip"] == "192.0.2.1"
    summary = last["rubicon"]["summary"]
    assert (summary["losses"], summary["verdict"]) == ({"critical": 0, "bulk": 17}, "incomplete")
    assert (summary["unjudged"], summary["damage"][:13]) == (2, "no end record")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_names_of_new_files_are_plain(tmp_path: Path) -> None:
    assert new_file(tmp_path, "../\x1b[2J1-a", ".html", 0.0).name.startswith("rubicon-2J1-a-19")
