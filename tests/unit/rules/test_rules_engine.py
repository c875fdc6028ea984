"""Many rules at once: which are asked, what they share, and that one that fails stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.rules.made import broken, file, ran, rules_of, sigma_rule
from tracer.errors import RuleFileError
from tracer.events import RulesFailedError
from tracer.rules import RuleSet, load_rules
from tracer.rules.detection import Detection
from tracer.rules.fields import Facts

SSH = ran("ssh", "-N", "-R", "2222:localhost:22", "Host.Example")


def titled(title: str, detection: str) -> str:
    return sigma_rule(detection).replace("title: T", f"title: {title}")


def asked(rules: RuleSet, *events: object) -> dict[str, tuple[int, int]]:
    """How often each rule was asked and said yes."""
    rules.timed_every = 1
    for meter in rules.meters.values():
        meter.asked = meter.hits = 0
    for event in events:
        rules.judge(event)  # type: ignore[arg-type]
    return {meter.rule.name: (meter.asked, meter.hits) for meter in rules.meters.values()}


def test_a_rule_is_asked_when_a_text_that_it_needs_is_there(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        "",
        titled("end", "  s: {Image|endswith: /SSH}\n  condition: s"),
        titled("other", "  s: {Image|endswith: /scp}\n  condition: s"),
        titled("both", "  s: {Image|endswith: /ssh, CommandLine|contains: [no-way, never]}\n  condition: s"),
        titled("either", "  a: {Image: x}\n  b: {CommandLine|contains: localhost}\n  condition: a or b"),
        titled("list", "  s: {process.args: ['-r', zzz]}\n  condition: s"),
        titled("cased", "  s: {CommandLine|contains|cased: Host}\n  condition: s"),
        titled("wild", "  s: {CommandLine: '*local*Example'}\n  condition: s"),
        titled("unknown", "  s: {CommandLine|re: '^ssh'}\n  condition: s"),
        titled("not", "  s: {Image|endswith: /scp}\n  condition: not s"),
        titled("none", "  s: {rubicon.exec.stdin_peer: null}\n  condition: s"),
    )
    assert asked(rules, SSH) == {
        "end": (1, 1),
        "other": (0, 0),
        "both": (0, 0),
        "either": (1, 1),
        "list": (1, 1),
        "cased": (1, 1),
        "wild": (1, 1),
        "unknown": (1, 1),
        "not": (1, 1),
        "none": (1, 1),
    }


def test_the_order_is_that_of_the_files(tmp_path: Path) -> None:
    texts = ["-N", "", "localhost", "", "ssh"]
    rules = rules_of(
        tmp_path,
        "",
        *(
            titled(f"t{n}", f"  s: {{CommandLine|contains: '{text}'}}\n  condition: s")
            for n, text in enumerate(texts)
        ),
    )
    assert broken(rules.judge(SSH)) == ["t0", "t1", "t2", "t3", "t4"]


def test_a_text_that_was_seen_before_says_the_same(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "", titled("T", "  s: {Image|endswith: /ssh}\n  condition: s"))
    for number in range(5_000):  # more than are kept
        assert not rules.judge(ran(f"tool{number}"))
        assert bool(rules.judge(SSH)) is True


def test_the_same_line_of_two_rules_is_tested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "  s: {CommandLine|re: 'h+ost'}\n  condition: s"
    rules = rules_of(
        tmp_path, "", titled("A", line), titled("B", line), titled("C", line.replace("h+", "h*"))
    )
    first, second, other = rules.wiring.detections
    assert first.node.test is second.node.test
    assert first.node.test is not other.node.test
    facts = Facts(SSH)
    assert first.test(facts)
    tests = [key for key, value in facts.items() if value is True]
    assert second.test(facts)
    assert [key for key, value in facts.items() if value is True] == tests, "what was found is remembered"


def test_one_bad_rule_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [titled(title, "  s: {Image|endswith: /ssh}\n  condition: s") for title in ("A", "bad", "C")]
    rules = rules_of(tmp_path, "process: {exec: []}", *texts)
    whole = Detection.violation

    def violation(self: Detection, *arguments: object) -> object:
        if self.rule.name == "bad":
            raise ZeroDivisionError
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Detection, "violation", violation)
    with pytest.raises(RulesFailedError) as caught:
        rules.judge(SSH)
    assert [rule.name for rule in caught.value.rules] == ["bad"]
    assert broken(caught.value.found) == ["Program not allowed", "A", "C"]
    assert rules.judge(file("/x")) == ()


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_ten_thousand_rules(tmp_path: Path) -> None:
    """A folder of them loads, and an event meets the one that it concerns."""
    folder = tmp_path / "many"
    for part in range(100):
        (folder / f"{part}").mkdir(parents=True)
        documents = [
            titled(f"{part}-{n}", f"  s: {{CommandLine|contains: 'needle{part}x{n}y'}}\n  condition: s")
            for n in range(100)
        ]
        (folder / f"{part}" / "rules.yml").write_text("---\n".join(documents))
    rules = load_rules(None, [folder], packs=False)
    assert len(rules.entries) == 10_000
    assert broken(rules.judge(ran("sh", "-c", "needle42x7y"))) == ["42-7"]
    assert asked(rules, ran("sh", "-c", "needle42x7y"), SSH)["42-7"] == (1, 1)
    assert sum(times for times, _ in asked(rules, SSH).values()) == 0


@pytest.mark.parametrize(
    "expression", ["(a+)+$", "(a|a)*b", "(.*a){25}", "([a-z]+)*=", "(x+x+)+y", "(a?){30}a{30}"]
)
def test_expressions_that_would_blow_up(tmp_path: Path, expression: str) -> None:
    """RE2 takes time in proportion to the text: half a megabyte is judged at once, where re would not end."""
    rules = rules_of(tmp_path, "", titled("T", f"  s: {{CommandLine|re: '{expression}'}}\n  condition: s"))
    rules.judge(ran("sh", "a" * 500_000 + "!"))


def test_an_expression_that_is_too_large(tmp_path: Path) -> None:
    rule = titled("T", "  s: {CommandLine|re: '((a{1000}){1000}){1000}'}\n  condition: s")
    (skipped,) = rules_of(tmp_path, "", rule).skipped
    assert "cannot be matched in bounded time" in skipped.reason


def test_aliases_in_a_rule_may_repeat_but_not_explode(tmp_path: Path) -> None:
    fine = "  s: {Image|endswith: &l [/ssh, /scp]}\n  t: {ParentImage|endswith: *l}\n  condition: s and not t"
    assert broken(rules_of(tmp_path, "", titled("T", fine)).judge(SSH)) == ["T"]
    lists = "".join(f"  a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    with pytest.raises(RuleFileError, match="aliases expand to too much"):
        rules_of(tmp_path, "", titled("T", f"  a0: &a0 [x, x]\n{lists}  condition: a39"))


def test_files_that_change_after_they_were_read(tmp_path: Path) -> None:
    """What is in force is what was read, until it is read again."""
    rules = rules_of(tmp_path, "", titled("T", "  s: {Image|endswith: /ssh}\n  condition: s"))
    (tmp_path / "rule0.yml").write_text("not a rule: [")
    assert broken(rules.judge(SSH)) == ["T"]
    (tmp_path / "rule0.yml").unlink()
    assert broken(rules.judge(SSH)) == ["T"]
