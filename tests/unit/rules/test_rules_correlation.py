"""Correlations: when a sequence of events is a violation, what it says, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.made import (
    START_NS,
    broken,
    connected,
    file,
    matches,
    process,
    ran,
    rules_of,
    sigma_rule,
)
from tracer.errors import RuleFileError
from tracer.events import Event
from tracer.rules import RuleSet, correlation
from tracer.rules.windows import Count, Hit, InOrder, Together, Values

SECOND = 1_000_000_000


def rule(name: str, detection: str, category: str = "process_creation") -> str:
    return sigma_rule(f"  s: {{{detection}}}\n  condition: s", category).replace(
        "title: T", f"title: {name}\nname: {name}"
    )


def correlated(body: str, title: str = "C") -> str:
    return f"title: {title}\nname: {title}\nlevel: high\ncorrelation:\n" + "".join(
        f"  {line}\n" for line in body.splitlines()
    )


RUN_A, RUN_B, RUN_C = (rule(name, f"Image|endswith: /{name}") for name in "abc")


def at(second: float, made: Event, sequence: int = 0) -> Event:
    return replace(made, time_ns=START_NS + int(second * SECOND), sequence=sequence or int(second * 10) + 1)


def judged(rules: RuleSet, *events: tuple[float, Event]) -> list[tuple[float, str]]:
    """The second and the rule of each violation."""
    return [(second, name) for second, made in events for name in broken(rules.judge(at(second, made)))]


def compiled(folder: Path, *texts: str) -> RuleSet:
    return rules_of(folder, "", *texts)


# --- event_count ------------------------------------------------------------------------------------------


def test_so_many_within_the_time_span(tmp_path: Path) -> None:
    rules = compiled(
        tmp_path, RUN_A, correlated("type: event_count\nrules: [a]\ntimespan: 10s\ncondition: {gte: 3}")
    )
    assert [each.name for each in rules.rules] == ["C"]
    seen = judged(rules, *((second, ran("a")) for second in (0, 8, 16, 17, 18, 19, 20, 21, 50, 51)))
    assert seen == [(17, "C"), (20, "C")], "0 is too old by 16; after a violation it counts from one again"


def test_the_edge_of_the_time_span(tmp_path: Path) -> None:
    rules = compiled(
        tmp_path, RUN_A, correlated("type: event_count\nrules: a\ntimespan: 10s\ncondition: {gt: 1}")
    )
    assert judged(rules, (0, ran("a")), (10, ran("a"))) == [(10, "C")]
    assert judged(rules, (100, ran("a")), (110.1, ran("a"))) == []


def test_each_group_counts_for_itself(tmp_path: Path) -> None:
    text = "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1m\ncondition: {gte: 2}"
    rules = compiled(tmp_path, RUN_A, correlated(text))
    ada, bob = (ran("a", who=process("/bin/a", ("a",), user=name)) for name in ("ada", "bob"))
    assert judged(rules, (0, ada), (1, bob), (2, bob)) == [(2, "C")]
    (violation,) = rules.judge(at(3, ada))
    assert matches((violation,)) == [
        ("User", "ada"),
        ("rubicon.correlation.condition", "2 times within 1 min"),
        ("rubicon.correlation.events", "1, 31"),
    ]
    assert violation.summary == 'a (pid 7) ran a, which completes "C" (2 times within 1 min)'


def test_generate_lets_the_parts_speak_too(tmp_path: Path) -> None:
    text = "type: event_count\nrules: [a]\ngenerate: true\ntimespan: 1m\ncondition: {eq: 2}"
    rules = compiled(tmp_path, RUN_A, correlated(text))
    assert judged(rules, (0, ran("a")), (1, ran("a"))) == [(0, "a"), (1, "a"), (1, "C")]


# --- value_count ------------------------------------------------------------------------------------------

PORTS = rule("dial", "DestinationIp|exists: true", "network_connection")


def test_so_many_different_values(tmp_path: Path) -> None:
    text = "type: value_count\nrules: [dial]\ntimespan: 10s\ncondition: {gte: 3, field: DestinationPort}"
    rules = compiled(tmp_path, PORTS, correlated(text))
    dialled = [connected("192.0.2.1", port) for port in (1, 1, 1, 2, 2, 3)]
    assert judged(rules, *enumerate(dialled)) == [(5, "C")]
    assert judged(rules, *((20 + 6 * n, each) for n, each in enumerate(dialled))) == [], "never three in 10 s"


def test_a_summary_of_ones_own(tmp_path: Path) -> None:
    text = "type: value_count\nrules: [dial]\ntimespan: 10s\ncondition: {gte: 2, field: DestinationPort}"
    rules = compiled(tmp_path, PORTS, correlated(text) + "rubicon: {summary: scanned a host}\n")
    rules.judge(at(0, connected("192.0.2.1", 1)))
    (violation,) = rules.judge(at(1, connected("192.0.2.1", 2)))
    assert violation.summary == (
        "python3.11 (pid 7) scanned a host (2 values of DestinationPort within 10 s), the last: 192.0.2.1:2"
    )


# --- temporal ---------------------------------------------------------------------------------------------


def test_together_in_any_order(tmp_path: Path) -> None:
    rules = compiled(tmp_path, RUN_A, RUN_B, correlated("type: temporal\nrules: [a, b]\ntimespan: 10s"))
    assert judged(rules, (0, ran("b")), (1, ran("b")), (5, ran("a"))) == [(5, "C")]
    assert judged(rules, (20, ran("a")), (31, ran("b")), (40, ran("a"))) == [(40, "C")]


def test_some_of_them_are_enough(tmp_path: Path) -> None:
    text = "type: temporal\nrules: [a, b, c]\ntimespan: 10s\ncondition: {gte: 2}"
    rules = compiled(tmp_path, RUN_A, RUN_B, RUN_C, correlated(text))
    assert judged(rules, (0, ran("a")), (1, ran("a")), (2, ran("c"))) == [(2, "C")]


def test_an_expression_over_rules(tmp_path: Path) -> None:
    text = "type: temporal\ntimespan: 10s\ncondition: a and (b or c)"
    rules = compiled(tmp_path, RUN_A, RUN_B, RUN_C, correlated(text))
    assert judged(rules, (0, ran("b")), (1, ran("c")), (2, ran("a"))) == [(2, "C")]


def test_one_after_the_other(tmp_path: Path) -> None:
    text = "type: temporal_ordered\nrules: [a, b, c]\ntimespan: 10s"
    rules = compiled(tmp_path, RUN_A, RUN_B, RUN_C, correlated(text))
    assert judged(rules, (0, ran("c")), (1, ran("b")), (2, ran("a")), (3, ran("c")), (4, ran("b"))) == []
    assert judged(rules, (5, ran("c"))) == [(5, "C")]
    late = [(20, ran("a")), (25, ran("b")), (28, ran("a")), (29, ran("b")), (32, ran("c"))]
    assert judged(rules, *late) == [(32, "C")], "the chain that began last has the most time left"


def test_fields_that_have_other_names_elsewhere(tmp_path: Path) -> None:
    text = (
        "type: temporal_ordered\nrules: [made, a]\ntimespan: 1m\ngroup-by: [path]\n"
        "aliases:\n  path: {made: TargetFilename, a: Image}"
    )
    made = rule("made", "TargetFilename|startswith: /tmp/", "file_event")
    rules = compiled(tmp_path, made, RUN_A, correlated(text))
    assert judged(rules, (0, file("/tmp/x")), (1, ran("a", path="/tmp/a"))) == []
    assert judged(rules, (2, file("/tmp/a")), (3, ran("a", path="/tmp/a"))) == [(3, "C")]


def test_correlations_of_correlations(tmp_path: Path) -> None:
    inner = correlated(
        "type: event_count\nrules: a\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 2}", "inner"
    )
    outer = correlated("type: temporal_ordered\nrules: [inner, b2]\ngroup-by: User\ntimespan: 1m", "outer")
    second = correlated(
        "type: event_count\nrules: b\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 1}", "b2"
    )
    rules = compiled(tmp_path, outer, inner, second, RUN_A, RUN_B)
    assert [each.name for each in rules.rules] == ["outer"]
    bob = ran("b", who=process("/bin/b", ("b",), user="bob"))
    assert judged(rules, (0, ran("a")), (1, ran("a")), (2, bob)) == []
    assert judged(rules, (3, ran("b"))) == [(3, "outer")]


@pytest.mark.parametrize(
    ("kind", "condition", "fires"),
    [
        ("value_sum", "{gt: 6, field: DestinationPort}", [3]),
        ("value_avg", "{gte: 3, field: DestinationPort}", []),
        ("value_median", "{lt: 2, field: DestinationPort}", [0, 1, 2]),
        ("value_percentile", "{gte: 3.9, field: DestinationPort, percentile: 100}", [3]),
    ],
)
def test_measures(tmp_path: Path, kind: str, condition: str, fires: list[int]) -> None:
    text = f"type: {kind}\nrules: [dial]\ntimespan: 1m\ncondition: {condition}"
    rules = compiled(tmp_path, PORTS, correlated(text))
    dialled = [connected("192.0.2.1", port) for port in (1, 1, 1, 4)]
    assert [second for second, _name in judged(rules, *enumerate(dialled))] == fires


# --- bounds -----------------------------------------------------------------------------------------------


def test_the_least_lately_used_group_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "GROUPS_MAX", 2)
    text = "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1m\ncondition: {gte: 2}"
    rules = compiled(tmp_path, RUN_A, correlated(text))
    users = [ran("a", who=process("/bin/a", ("a",), user=name)) for name in ("u1", "u2", "u3", "u1")]
    assert judged(rules, *enumerate(users)) == []
    assert rules.forgotten == 2


def test_long_values_take_little_room() -> None:
    values = Values(SECOND, 3)
    assert not values.add(Hit(0, 0, 1, "x" * 100_000))
    assert not values.add(Hit(0, 0, 2, "x" * 100_000))
    assert not values.add(Hit(0, 0, 3, "x" * 100_000 + "y"))
    assert values.add(Hit(0, 0, 4, "\udcff" * 100))


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("type: near\nrules: [a]\ntimespan: 1m", "correlation.type: Input should be"),
        ("type: event_count\nrules: [a]\ncondition: {gte: 1}", "correlation.timespan: is missing"),
        ("type: event_count\nrules: [a]\ntimespan: soon\ncondition: {gte: 1}", "'soon' is not a time span"),
        ("type: event_count\nrules: [a]\ntimespan: 0s\ncondition: {gte: 1}", "'0s' is not a time span"),
        ("type: event_count\ntimespan: 1m\ncondition: {gte: 1}", "names no rules"),
        ("type: event_count\nrules: [a]\ntimespan: 1m", "is a mapping, such as {gte: 10}"),
        ("type: event_count\nrules: [a]\ntimespan: 1m\ncondition: {}", "takes exactly one of gt, gte"),
        (
            "type: event_count\nrules: [a]\ntimespan: 1m\ncondition: {gte: 1, lt: 3}",
            "takes exactly one of gt, gte",
        ),
        ("type: event_count\nrules: [a]\ntimespan: 1m\ncondition: {gte: 1000000}", "more than 10000"),
        (
            "type: value_count\nrules: [a]\ntimespan: 1m\ncondition: {gte: 1}",
            "names the field whose values count",
        ),
        (
            "type: event_count\nrules: [x]\ntimespan: 1m\ncondition: {gte: 1}",
            'no rule has the id or name "x"',
        ),
        (
            "type: temporal\nrules: [a]\ntimespan: 1m\ncondition: a and x",
            "names x, which is not among the rules",
        ),
        ("type: temporal\nrules: [a]\ntimespan: 1m\ncondition: a and", "Failed to parse"),
        ("type: temporal\nrules: [a]\ntimespan: 1m\ncondition: {gte: 2}", "asks for 2 of 1 rules"),
        ("type: temporal_ordered\nrules: [a, b]\ntimespan: 1m\ncondition: a or b", "joins rules with and"),
        (
            "type: event_count\nrules: [a]\ngroup-by: [Nope]\ntimespan: 1m\ncondition: {gte: 1}",
            'no field "Nope"',
        ),
        ("type: event_count\nrules: [a]\ngroup_bye: [x]\ntimespan: 1m\ncondition: {gte: 1}", '"group-by"'),
        ("type: event_count\nrules: [C]\ntimespan: 1m\ncondition: {gte: 1}", "refers back to itself"),
    ],
)
def test_what_is_no_correlation(tmp_path: Path, body: str, problem: str) -> None:
    with pytest.raises(RuleFileError) as caught:
        compiled(tmp_path, RUN_A, RUN_B, correlated(body))
    assert problem in str(caught.value)
    assert all(each.line for each in caught.value.problems)


def test_a_ring_of_correlations_is_told(tmp_path: Path) -> None:
    names: Sequence[str] = ("x", "y", "z")
    texts = [
        correlated(f"type: temporal\nrules: [{names[(n + 1) % 3]}]\ntimespan: 1m", name)
        for n, name in enumerate(names)
    ]
    with pytest.raises(RuleFileError, match="refers back to itself"):
        compiled(tmp_path, *texts)


@pytest.mark.parametrize(
    "body",
    [
        "type: event_count\nrules: [a]\ntimespan: 1m\ncondition: {lt: 3}",
        "type: value_count\nrules: [a]\ntimespan: 1m\ncondition: {neq: 3, field: User}",
        "type: temporal\nrules: [a, b]\ntimespan: 1m\ncondition: a and not b",
    ],
)
def test_what_only_the_end_of_a_time_span_can_tell_is_skipped(tmp_path: Path, body: str) -> None:
    rules = compiled(tmp_path, RUN_A, RUN_B, correlated(body))
    (skipped,) = rules.skipped
    assert "at the end of a time span" in skipped.reason
    assert [each.name for each in rules.rules] == ["a", "b"], "they speak for themselves then"


def test_what_refers_to_a_rule_for_elsewhere_is_skipped_with_it(tmp_path: Path) -> None:
    other = rule("w", "Image: x").replace("product: linux", "product: windows")
    body = "type: temporal\nrules: [a, w]\ntimespan: 1m"
    rules = compiled(tmp_path, RUN_A, other, correlated(body))
    assert [each.reason for each in rules.skipped] == [
        "is for product windows",
        'refers to "w", which does not apply: is for product windows',
    ]
    assert judged(rules, (0, ran("a"))) == [(0, "a")]


# --- windows against their definitions --------------------------------------------------------------------

hits = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=40)


def timed(steps: list[tuple[int, int]]) -> list[Hit]:
    """Hits of rules 0 to 2, each so many seconds after the one before."""
    now, made = 0, []
    for sequence, (which, after) in enumerate(steps, 1):
        now += after * SECOND
        made.append(Hit(which, now, sequence, str(which)))
    return made


@given(hits, st.integers(1, 6))
def test_count_is_what_it_says(steps: list[tuple[int, int]], least: int) -> None:
    window, since = Count(7 * SECOND, least), 0
    for index, hit in enumerate(made := timed(steps)):
        recent = [each for each in made[since : index + 1] if each.time_ns >= hit.time_ns - 7 * SECOND]
        assert window.add(hit) == (len(recent) >= least)
        if len(recent) >= least:
            assert window.members() == [each.sequence for each in recent]
            window.clear()
            since = index + 1


@given(hits)
def test_together_is_what_it_says(steps: list[tuple[int, int]]) -> None:
    window, since = Together(7 * SECOND, lambda seen: len(seen) == 3), 0
    for index, hit in enumerate(made := timed(steps)):
        recent = {each.rule for each in made[since : index + 1] if each.time_ns >= hit.time_ns - 7 * SECOND}
        assert window.add(hit) == (len(recent) == 3)
        if len(recent) == 3:
            window.clear()
            since = index + 1


@given(hits)
def test_in_order_is_what_it_says(steps: list[tuple[int, int]]) -> None:
    window, since = InOrder(7 * SECOND, 3), 0
    for index, hit in enumerate(made := timed(steps)):
        part = made[since : index + 1]
        found = hit.rule == 2 and any(
            first.rule == 0 and second.rule == 1 and hit.time_ns - first.time_ns <= 7 * SECOND
            for n, first in enumerate(part[:-1])
            for second in part[n + 1 : -1]
        )
        assert window.add(hit) == found
        if found:
            window.clear()
            since = index + 1
