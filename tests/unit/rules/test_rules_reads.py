"""Which opens for reading the rules ask to be told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.rules.made import broken, file, rules_of, sigma_rule
from tracer.events import Action
from tracer.rules import load_rules
from tracer.rules.reads import FILE, FOLDER

READ = Action.FILE_READ


def asked(folder: Path, detection: str) -> dict[str, int] | str:
    """The names, or why the rule does not apply."""
    rules = rules_of(folder, "", sigma_rule(detection, "file_access"))
    return rules.reads if not rules.skipped else rules.skipped[0].reason


@pytest.mark.parametrize(
    ("detection", "names"),
    [
        ("  a: {file.path: /etc/shadow}\n  condition: a", {"shadow": FILE}),
        ("  a: {TargetFilename|endswith: [/.netrc, /.git-credentials]}\n  condition: a",
         {".netrc": FILE, ".git-credentials": FILE}),
        ("  a: {file.name: environ, file.path|startswith: /proc/}\n  condition: a", {"environ": FILE}),
        ("  a: {file.path|contains: /.ssh/, file.path|re: id_.*}\n  condition: a", {".ssh": FOLDER}),
        ("  a: {file.path|contains|all: [/.ssh/, id_]}\n  condition: a", {".ssh": FOLDER}),
        ("  a: {file.path|startswith: /root/.aws/}\n  condition: a", {".aws": FOLDER}),
        ("  a: {file.name: x}\n  b: {file.path|contains: /x/}\n  condition: a or b", {"x": FILE | FOLDER}),
        ("  a: {file.name: x}\n  b: {file.path|endswith: .pub}\n  condition: a and not b", {"x": FILE}),
        ("  a_1: {file.name: x}\n  a_2: {file.name: y}\n  condition: 1 of a_*", {"x": FILE, "y": FILE}),
        ("  a: [{file.name: x}, {file.name: y}]\n  condition: a", {"x": FILE, "y": FILE}),
        ("  a: {file.name: x}\n  b: {Image|endswith: /cat}\n  condition: all of them", {"x": FILE}),
        ("  a: {file.name: x}\n  _b: {Image|endswith: /cat}\n  condition: 1 of them", {"x": FILE}),
        ("  a: {file.name: x}\n  b: {LogonId: 0}\n  condition: a or b", {"x": FILE}),
    ],
)  # fmt: skip
def test_names(tmp_path: Path, detection: str, names: dict[str, int]) -> None:
    assert asked(tmp_path, detection) == names


@pytest.mark.parametrize(
    "detection",
    [
        "  a: {Image|endswith: /cat}\n  condition: a",
        "  a: {file.path|endswith: .pem}\n  condition: a",
        "  a: {file.path|endswith: /*.pem}\n  condition: a",
        "  a: {file.path|contains: ssh}\n  condition: a",
        "  a: {file.path|re: '/\\.ssh/'}\n  condition: a",
        "  a: {file.name: x}\n  condition: not a",
        "  a: {file.name: x}\n  b: {Image|endswith: /cat}\n  condition: a or b",
        "  a: [shadow]\n  condition: a",
    ],
)
def test_rules_that_would_need_every_read_do_not_apply(tmp_path: Path, detection: str) -> None:
    assert asked(tmp_path, detection) == (
        "would need to be told of every open for reading: it names no file and no folder"
    )


def test_other_rules_ask_for_nothing(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "", sigma_rule("  a: {file.name: x}\n  condition: a", "file_event")).reads == {}


def test_the_pack_asks_for_what_it_judges() -> None:
    reads = load_rules(None, []).reads
    assert (reads["environ"], reads[".ssh"], reads["shadow"]) == (FILE, FOLDER, FILE)
    assert len(reads) < 200


def test_what_is_taken_in(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "", sigma_rule("  a: {file.name: x}\n  condition: a", "file_access"))
    assert broken(rules.judge(file("/w/x", READ))) == ["T"]
    assert broken(rules.judge(file("/w/x", Action.FILE_LINK, original="/w/y"))) == ["T"]
    assert rules.judge(file("/w/x")) == ()  # O_WRONLY is 1, and 0 here says how: neither reads
    both = file("/w/x")
    both.detail.flags = 2  # type: ignore[union-attr]
    assert broken(rules.judge(both)) == ["T"]
