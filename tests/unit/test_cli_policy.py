"""`rubicon policy`: the profiles, what is in force, and what two policies differ in."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tracer import cli


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["browser-agent", "coding-agent", "offline", "rl-sandbox"]


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("extends: offline\nfiles: {write: ['${out}/**']}  # mine\n")
    assert cli.main(["policy", "show", str(path), "--set", "out=/srv/a,/srv/b"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["files"] == {"write": ["/srv/a/**", "/srv/b/**"]}
    assert shown["network"] == {"connect": ["localhost"]}
    assert cli.main(["policy", "show", "--source", str(path)]) == 0
    assert capsys.readouterr().out == path.read_text()
    assert cli.main(["policy", "show", str(path)]) == 2
    assert 'there is no variable "out"' in capsys.readouterr().err


def test_what_is_shown_is_a_policy_of_the_same_meaning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--set", "workspace=/w"]
    assert cli.main(["policy", "show", "coding-agent", *arguments]) == 0
    (tmp_path / "shown.yaml").write_text(capsys.readouterr().out)
    assert cli.main(["policy", "diff", "coding-agent", str(tmp_path / "shown.yaml"), *arguments]) == 0
    assert capsys.readouterr().out == ""


def test_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "a", tmp_path / "b"
    before.write_text("name: x\nfiles: {write: [/a, /b]}\nprocess: {exec: [git]}\n")
    after.write_text("name: y\nfiles: {write: [/b, /c]}\nnetwork: {connect: []}\nprocess: {exec: [git]}\n")
    assert cli.main(["policy", "diff", str(before), str(after)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "- name: x",
        "+ name: y",
        "- files.write: /a",
        "+ files.write: /c",
        "+ network.connect: []",
    ]


def test_a_wrong_assignment(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "show", "offline", "--set", "x"]) == 2
    assert 'rubicon: --set: "x" is not NAME=VALUE' in capsys.readouterr().err
