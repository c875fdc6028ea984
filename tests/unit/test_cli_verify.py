"""`rubicon verify`: what it prints and the exit status."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tracer.cli import verify as command
from tracer.errors import TraceError, UsageError
from tracer.trace import Keyring, Sealer, SigningKey, Writer, ring_section

KEY = SigningKey.generate()


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUBICON_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "evil\x1b[2J.trace"
    with Writer(path, sealer=Sealer(KEY)) as writer:
        writer.append([{"type": "session", "key": KEY.public.line}])
        writer.append((), ring_section([b"a", b"b"], 1_000_000_000, 3_500_000_000), lost_critical=7)
        writer.append([{"type": "end"}])
    return path


def rubicon(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["verify", *arguments])
    status = args.handler(args)
    assert isinstance(status, int)
    return status


def test_intact(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon(str(trace)) == 0
    out = capsys.readouterr().out
    assert "evil\\x1b[2J.trace: intact: 2 events" in out
    assert "\x1b" not in out
    assert "2.500 s" in out
    assert "7 critical, 0 bulk" in out


def test_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([{"type": "session"}])
        assert rubicon(str(tmp_path / "t")) == 0
    assert "live" in capsys.readouterr().out


def test_altered_says_where_in_json(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(trace.read_bytes())
    data[-1] ^= 1
    trace.write_bytes(data)
    assert rubicon(str(trace), "--json") == 2
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["state"], verdict["blocks"], verdict["damage"]["block"]) == ("altered", 3, 3)


def test_torn_and_cut(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = trace.read_bytes()
    trace.write_bytes(data[:-1])
    assert rubicon(str(trace)) == 2
    assert "torn at block 3" in capsys.readouterr().out
    trace.write_bytes(b"")
    assert rubicon(str(trace)) == 2
    assert "cut: 0 events" in capsys.readouterr().out


def test_by_whom_it_is_sealed(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rubicon(str(trace)) == 0, "nothing is trusted yet that it could be held against"
    assert f"by {KEY.public.fingerprint} (not known here" in capsys.readouterr().out
    own = Keyring().own()
    assert rubicon(str(trace)) == 2
    assert "wrong-key: 2 events, sealed by a key that is not trusted here" in capsys.readouterr().out
    public = tmp_path / "there.pub"
    public.write_text(KEY.public.line)
    assert rubicon(str(trace), "--key", str(public)) == 0
    Keyring().trust(KEY.public, "there")
    capsys.readouterr()
    assert rubicon(str(trace)) == 0
    assert "(there)" in capsys.readouterr().out
    public.write_text(own.public.line)
    assert rubicon(str(trace), "--key", str(public), "--json") == 2
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["state"], verdict["sealed"]["key"]) == ("wrong-key", KEY.public.fingerprint)


def test_a_key_that_is_none(trace: Path, tmp_path: Path) -> None:
    (tmp_path / "no.pub").write_bytes(b"\xff\x00")
    for name in ("no.pub", "missing.pub"):
        with pytest.raises(UsageError):
            rubicon(str(trace), "--key", str(tmp_path / name))


def test_no_trace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError):
        rubicon(str(tmp_path / "missing"))
