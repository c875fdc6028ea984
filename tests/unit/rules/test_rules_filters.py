"""Filters and collections: exceptions to rules written elsewhere, and rules that share keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.rules.made import broken, ran, rules_of, sigma_rule
from tracer.errors import RuleFileError

RULE = sigma_rule("  s: {Image|endswith: [/ssh, /scp]}\n  condition: s").replace(
    "title: T", "title: T\nid: 11111111-1111-4111-8111-111111111111\nname: shells"
)
OTHER = sigma_rule("  s: {Image|endswith: /ssh}\n  condition: s").replace("title: T", "title: U")


def exception(rules: str, selection: str = "User: ada", source: str = "{category: process_creation}") -> str:
    return (
        f"title: F\nlogsource: {source}\nfilter:\n  rules: {rules}\n"
        f"  selection: {{{selection}}}\n  condition: not selection\n"
    )


def seen(folder: Path, *texts: str) -> list[str]:
    return broken(rules_of(folder, "", *texts).judge(ran("ssh")))


@pytest.mark.parametrize("rules", ["[11111111-1111-4111-8111-111111111111]", "shells", "[shells]"])
def test_an_exception_to_one_rule(tmp_path: Path, rules: str) -> None:
    assert seen(tmp_path, RULE, OTHER) == ["T", "U"]
    assert seen(tmp_path, RULE, OTHER, exception(rules)) == ["U"]
    assert seen(tmp_path, exception(rules, "User: bob"), RULE, OTHER) == ["T", "U"]


def test_an_exception_to_all_rules_of_a_log_source(tmp_path: Path) -> None:
    assert seen(tmp_path, RULE, OTHER, exception("any")) == []
    assert seen(tmp_path, RULE, exception("any", source="{category: file_event}")) == ["T"]
    assert seen(tmp_path, RULE, exception("any", source="{category: process_creation, product: linux}")) == []
    assert seen(tmp_path, RULE, exception("any", source="{product: windows}")) == ["T"]


def test_a_filter_can_be_wrong(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match='has no field "Usr"; did you mean "User"'):
        seen(tmp_path, RULE, exception("any", "Usr: ada"))
    with pytest.raises(RuleFileError, match="needs values for %"):
        seen(tmp_path, RULE, exception("any", "User|expand: '%admins%'"))


def test_keys_that_a_file_shares(tmp_path: Path) -> None:
    text = (
        "action: global\ntitle: G\nlogsource: {category: process_creation, product: linux}\nlevel: high\n"
        "detection: {condition: s}\n---\ndetection: {s: {Image|endswith: /ssh}}\n"
        "---\ntitle: H\ndetection: {s: {Image|endswith: /scp}}\n"
        "---\naction: repeat\ntitle: R\nlevel: low\ndetection: {s: {Image|endswith: /ssh}}\n"
    )
    rules = rules_of(tmp_path, "", text)
    assert [(rule.name, rule.level.value) for rule in rules.rules] == [
        ("G", "high"),
        ("H", "high"),
        ("R", "low"),
    ]
    assert broken(rules.judge(ran("ssh"))) == ["G", "R"]


def test_what_is_shared_ends_with_reset(tmp_path: Path) -> None:
    text = "action: global\nlevel: high\n---\naction: reset\n---\n" + OTHER
    assert [rule.level.value for rule in rules_of(tmp_path, "", text).rules] == ["medium"]


def test_a_mistake_in_a_shared_key_has_its_line(tmp_path: Path) -> None:
    text = "action: global\nlevel: worst\n---\n" + OTHER
    with pytest.raises(RuleFileError) as caught:
        rules_of(tmp_path, "", text)
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [(2, "level")]
    with pytest.raises(RuleFileError, match="action: is not one of global, reset, repeat"):
        rules_of(tmp_path, "", "action: begin\n---\n" + OTHER)
