"""`rubicon rules`: what is right, what there is, and what it says of a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import wire
from tests.records import SESSION, execve, opened
from tests.unit.rules.made import sigma_rule
from tracer import cli
from tracer.trace import Writer, ring_section

RULE = sigma_rule("  s: {Image|endswith: /agent}\n  condition: s").replace(
    "title: T", "title: ran\nname: ran"
)
TWICE = "title: twice\ncorrelation: {type: event_count, rules: ran, timespan: 1m, condition: {gte: 1}}\n"
ELSEWHERE = sigma_rule("  s: {Image: x}\n  condition: s", product="windows").replace(
    "title: T", "title: W\x1b"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/all.yml").write_text(f"{RULE}---\n{TWICE}---\n{ELSEWHERE.replace(chr(27), '')}")
    (tmp_path / "policy.yaml").write_text("files: {write: [/nowhere/**]}")
    return tmp_path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.trace"
    with Writer(path) as writer:
        writer.append([SESSION | {"abi": wire.layout()}])
        writer.append([], ring_section([wire.encode(execve(200, "/bin/agent"))]))
        writer.append([], ring_section([]), ring_section([wire.encode(opened(200, "/etc/x", 5))]))
    return path


def test_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "check", str(folder / "rules"), str(folder / "policy.yaml")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/rules/all.yml:13: W: does not apply: is for product windows",
        "4 rules apply (1 correlation, 2 policy, 1 process_creation), 1 do not",
    ]


def test_check_tells_every_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules/bad.yml").write_text(RULE.replace("Image", "Imgae") + "---\ntitle: [\n")
    (folder / "rules/worse.yml").write_text(RULE.replace("Image", "Imgae"))
    assert cli.main(["rules", "check", str(folder / "rules")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "bad.yml:" in lines[0]
    assert 'did you mean "Image"' in lines[1]


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "list", str(folder / "rules")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "part           process_creation    ran" in lines
    assert "medium         correlation         twice" in lines
    assert any("Reverse" in line and "T1572" in line for line in lines), "the shipped pack"
    assert cli.main(["rules", "list", "--json", str(folder / "rules"), str(folder / "policy.yaml")]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_title = {each["title"]: each for each in documents}
    assert by_title["ran"]["part_of_correlation"] is True
    assert by_title["W"]["skipped"] == "is for product windows"
    assert by_title["File change not allowed"]["source"] == "policy"


def test_test(folder: Path, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / "policy.yaml"), str(folder / "rules")]
    assert cli.main(["rules", "test", *paths, str(trace)]) == 0
    out, err = capsys.readouterr()
    assert [line.split(maxsplit=1)[1].split(":")[0] for line in out.splitlines()] == [
        "twice",
        "File change not allowed",
    ]
    assert "rubicon: 2 violations" in err.splitlines()


def test_profile(folder: Path, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "test", "--profile", str(folder / "rules"), str(trace)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(line.endswith("1 asked       1 hits  ran") for line in lines)


def test_one_policy_at_a_time(folder: Path, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.yaml").write_text("files: {write: []}")
    assert cli.main(["rules", "check", str(folder / "policy.yaml"), str(folder / "other.yaml")]) == 2
    assert "one policy at a time" in capsys.readouterr().err
