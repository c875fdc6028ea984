"""Which sessions there are, and how one is found by a word."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tracer import cli
from tracer.errors import TraceError
from tracer.trace import Writer, default_folder, find_trace, new_session_id, new_trace_path

SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path))
    monkeypatch.chdir("/")
    return tmp_path


def write(folder: Path, session_id: str, **facts: Any) -> Writer:
    writer = Writer(folder / f"{os.fsencode(session_id).hex()}.trace")
    writer.append([{"type": "session", "id": session_id, **facts}])
    return writer


def finished(folder: Path, session_id: str, **facts: Any) -> Path:
    with write(folder, session_id, **facts) as writer:
        writer.append([{"type": "end"}])
    return writer.path


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert cli.main(["sessions", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sessions"]) == 0
    assert capsys.readouterr().out == f"no sessions in {folder}\n"
    assert listed(capsys) == []


def test_the_newest_first_with_what_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(folder, "old", start_ns=SECOND_NS, targets=["run"], command=["sh", "-c", "x y"])
    (folder / "no.trace").write_text("no trace")
    with write(folder, "new", start_ns=2 * SECOND_NS, targets=["pid:7"]) as writer:
        new, old = listed(capsys)
        assert cli.main(["sessions"]) == 0
    assert (new["id"], new["live"], new["targets"], new["trace"]) == (
        "new",
        True,
        ["pid:7"],
        str(writer.path),
    )
    assert (old["id"], old["live"], old["command"]) == ("old", False, ["sh", "-c", "x y"])
    assert old["started"] == "1970-01-01T00:00:01Z"
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["new", "live"]
    assert second.split()[:2] == ["old", "finished"]
    assert second.endswith("sh -c x y")


@pytest.mark.parametrize("value", [10**30, -1, "x", None, [1], 1.5])
def test_a_session_record_anybody_may_have_made(
    value: object, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(folder, "i\x1b[2J\udcff\x7f", start_ns=value, targets=value, command=value)
    finished(folder, "good", start_ns=SECOND_NS)
    assert len(listed(capsys)) == 2
    assert cli.main(["sessions"]) == 0
    assert "i\\x1b[2J\\xff\\x7f" in capsys.readouterr().out
    with pytest.raises(TraceError, match="there are") as caught:
        find_trace("nothing")
    assert str(caught.value).isprintable()


def test_found_by_path_id_or_its_beginning(folder: Path) -> None:
    one, two, exact = (finished(folder, session_id) for session_id in ("2026-a", "2026-b", "2026"))
    assert find_trace("2026-a") == one
    assert find_trace("2026-b") == two
    assert find_trace("2026") == exact
    assert find_trace(str(one)) == one
    assert find_trace("/not/there") == Path("/not/there")
    with pytest.raises(TraceError, match="may be 2026-b, 2026-a"):
        find_trace("2026-")
    with pytest.raises(TraceError, match="there is no trace or session x\\\\x1b; there are"):
        find_trace("x\x1b")


def test_the_newest_when_nothing_is_said(folder: Path) -> None:
    with pytest.raises(TraceError, match="there is no session yet"):
        find_trace(None)
    newest = finished(folder, "newest", start_ns=9)
    assert find_trace(None) == newest
    with write(folder, "live", start_ns=1) as writer:
        assert find_trace(None) == writer.path


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_folder({"RUBICON_TRACES": "/t"}) == Path("/t")
    assert default_folder({"XDG_STATE_HOME": "/s"}) == Path("/s/rubicon/traces")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_folder({}) == Path("/home/ada/.local/state/rubicon/traces")
    path = new_trace_path("s1", tmp_path / "deep/er")
    assert path == tmp_path / "deep/er/s1.trace"
    assert (tmp_path / "deep/er").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match="cannot make the folder"):
        new_trace_path("s1", tmp_path / "file/below")


def test_ids_sort_by_time() -> None:
    assert new_session_id(0).startswith("19700101-000000-")
    assert new_session_id(SECOND_NS) > new_session_id(0)
    assert new_session_id() != new_session_id()


def test_a_folder_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUBICON_TRACES", "/nowhere\x1b")
    assert cli.main(["sessions"]) == 0
    assert capsys.readouterr().out == "no sessions in /nowhere\\x1b\n"
    assert not os.path.exists("/nowhere\x1b")
