from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from tests.unit.rules.made import broken, file, ran, rules_of, sigma_rule
from tracer.errors import EXIT_USAGE, RuleFileError
from tracer.rules import load_rules

RULE = sigma_rule("  s: {Image|endswith: /ssh}\n  condition: s")


def test_policy_first_then_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    for name, title in (
        ("b.yml", "B"),
        ("a/z.yaml", "A"),
        ("c.yml", "C"),
        (".hidden.yml", "H"),
        ("x.txt", "X"),
    ):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(RULE.replace("title: T", f"title: {title}"))
    (tmp_path / "p.yaml").write_text("process: {exec: []}")
    rules = load_rules(tmp_path / "p.yaml", [folder], packs=False)
    assert broken(rules.judge(ran("ssh"))) == ["Program not allowed", "B", "C", "A"]
    assert [rule.name for rule in rules.rules[1:]] == ["Program not allowed", "B", "C", "A"]
    assert [source["path"] for source in rules.sources] == [
        str(tmp_path / name) for name in ("p.yaml", "rules/b.yml", "rules/c.yml", "rules/a/z.yaml")
    ]


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "files: {write: []}", RULE)
    assert [source["sha256"] for source in rules.sources] == [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("policy.yaml", "rule0.yml")
    ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert rules_of(elsewhere, "files: {write: []}", RULE).digest == rules.digest
    assert rules_of(elsewhere, "files: {write: [/a]}", RULE).digest != rules.digest
    assert rules_of(elsewhere, "", RULE).digest != rules.digest
    assert load_rules(None, [], packs=False).digest != load_rules(None, []).digest


def test_without_rules_nothing_is_judged() -> None:
    rules = load_rules(None, [], packs=False)
    assert rules.judge(ran("ssh")) == ()
    assert rules.judge(file("/etc/passwd")) == ()
    assert (rules.rules, rules.skipped, rules.sources, rules.domains) == ((), (), [], frozenset())


def test_several_rules_in_one_file(tmp_path: Path) -> None:
    text = RULE + "---\n---\n" + RULE.replace("title: T", "title: U")
    assert broken(rules_of(tmp_path, "", text).judge(ran("ssh"))) == ["T", "U"]


def test_the_problems_of_all_files_come_together(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError) as caught:
        rules_of(tmp_path, "colour: red", RULE.replace("Image", "Imgae"), "title: [", "# nothing")
    assert [(problem.file.name, problem.line) for problem in caught.value.problems] == [
        ("policy.yaml", 1),
        ("rule0.yml", 6),
        ("rule1.yml", 2),
        ("rule2.yml", 0),
    ]
    assert caught.value.exit_status == EXIT_USAGE


def test_one_id_is_one_rule(tmp_path: Path) -> None:
    uid = "id: 11111111-1111-4111-8111-111111111111\n"
    with pytest.raises(
        RuleFileError, match=r"rule1.yml:1: id: .* is already the id of the rule at .*rule0.yml:1"
    ):
        rules_of(tmp_path, "", RULE + uid, RULE.replace("title: T", "title: U") + uid)


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(RULE)
    (tmp_path / "link.yml").symlink_to("r.yml")
    rules = load_rules(None, [tmp_path, tmp_path / "r.yml"], packs=False)
    assert broken(rules.judge(ran("ssh"))) == ["T"]
    assert len(rules.sources) == 1


def test_paths_that_hold_no_rules(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleFileError) as caught:
        load_rules(None, [tmp_path / "empty", tmp_path / "none.yml"], packs=False)
    assert str(caught.value) == (
        f"{tmp_path}/empty: is a folder without any .yml or .yaml file\n"
        f"{tmp_path}/none.yml: cannot be read: No such file or directory"
    )


def test_a_policy_may_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("files: {write: []}",))
    writer.start()
    rules = load_rules(pipe, [], packs=False)
    writer.join()
    assert broken(rules.judge(file("/x"))) == ["File change not allowed"]


def test_the_same_files_say_the_same(tmp_path: Path) -> None:
    one = rules_of(tmp_path, "process: {exec: []}", RULE, packs=True)
    other = rules_of(tmp_path, "process: {exec: []}", RULE, packs=True)
    made = ran("ssh", "-R", "1:localhost:2", "h")
    said = [[(v.rule, v.matched, v.summary) for v in rules.judge(made)] for rules in (one, other)]
    assert said[0] == said[1]
    assert len(said[0]) == 3
