"""`rubicon watch` and `rubicon attach` where there is nothing to show it on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer import cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch", "{trace}"], "watch needs a terminal"),
        (["watch", "{trace}", "--size", "80"], "give columns and rows, as in 80x24"),
        (["watch", "{trace}", "--size", "5x5"], "from 20x5 to 1000x500"),
        (["watch", "nothing"], "there is no trace or session nothing"),
        (["attach", "pid:1", "--tui"], "--tui needs a terminal"),
        (["attach", "pid:1", "--tui", "--no-tui"], "not allowed with"),
        (["attach"], "TARGET"),
        (["attach", "nonsense"], "nonsense is not a target"),
        (["run"], "no command"),
        (["run", "--"], "no command"),
        (["run", "--fail-on", "worst", "--", "true"], "--fail-on"),
    ],
)
def test_bad_usage(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path))
    status: object
    try:
        status = cli.main([word.format(trace=tmp_path / "t.trace") for word in words])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
