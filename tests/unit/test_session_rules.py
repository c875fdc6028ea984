"""Rules that change while a session runs: when they do, what they remember, that a replay says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.records import execve, opened
from tests.unit.rules.made import sigma_rule
from tests.unit.test_session import FIRST, START, FakeSource, Told, context
from tracer.cli import main
from tracer.control import Reply, ask
from tracer.pipeline import open_trace
from tracer.records import Record
from tracer.rules import Given, load_rules
from tracer.rules.changes import RecordedRules, read_rules, rules_record
from tracer.rulings import violation_record
from tracer.session import Session
from tracer.session.outbox import Outbox

GIVEN = Given({"workspace": ("/work",)}, {})
POLICY = "variables: {out: /work/out}\nfiles:\n  write:\n    - ${out}/**\n"


def rule(title: str, text: str, more: str = "") -> str:
    found = sigma_rule(f"  s: {{TargetFilename|contains: {text}}}\n  condition: s", "file_event")
    return found.replace("title: T", f"title: {title}") + more


THREE = """---
title: three
correlation:
  type: event_count
  rules: part
  timespan: 1h
  condition: {gte: 3}
---
"""


class Live:
    """A session with rule files in `folder`, which the test changes."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.path, self.told = folder, folder / "t.trace", Told()
        self.rules, self.policy = folder / "rules", folder / "policy.yaml"
        self.rules.mkdir()
        self.policy.write_text(POLICY)
        self.write("a", rule("a", "aaa"))
        self.source = FakeSource(pids=[200])
        self.count = 0
        self.options = options

    def write(self, name: str, text: str) -> None:
        (self.rules / f"{name}.yml").write_text(text)

    def load(self) -> Any:
        return load_rules(self.policy, [self.rules], given=GIVEN)

    def session(self) -> Session:
        rules = self.load()
        first = [*FIRST, rules_record(rules)]
        return Session(
            self.source, self.path, rules, first, self.told.callbacks, load=self.load, **self.options
        )

    def feed(self, *records: Record) -> None:
        self.source.feed([START] if not self.count else [], records)
        self.count += 1

    def files(self, *paths: str) -> None:
        self.feed(*(opened(200, path, 10 * self.count + place) for place, path in enumerate(paths, 1)))

    def wait_for(self, count: int) -> None:
        self.told.wait(lambda: len(self.told.violations) >= count)

    def ask(self, command: str, **arguments: Any) -> Reply:
        return ask(self.path, command, **arguments)

    def broken(self) -> list[str]:
        return [violation.rule.name for violation in self.told.violations]


def replayed(path: Path, judging: RecordedRules) -> list[str]:
    with open_trace(path, judging.judge, judging.learn) as trace:
        found = [json.dumps(violation_record(each)) for _event, several in trace.items() for each in several]
        assert trace.bad_records == 0
    return found


def recorded(path: Path) -> list[str]:
    return [json.dumps(record) for record in context(path, "violation")]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


def test_new_rules_are_in_force_between_two_events_and_a_replay_says_the_same(live: Live) -> None:
    with live.session() as session:
        session.start()
        live.files("/work/out/aaa", "/work/out/bbb")
        live.wait_for(1)
        live.write("b", rule("b", "bbb"))
        (live.rules / "a.yml").unlink()
        live.policy.write_text(POLICY.replace("/work/out", "/work/else"))
        reply = live.ask("reload")
        assert reply.ok, reply.message
        assert "rules: 1 more, 1 fewer; the policy is another" in reply.message
        live.files("/work/else/aaa", "/work/else/bbb", "/work/out/x")
        live.wait_for(3)
    assert live.broken() == ["a", "b", "File change not allowed"]
    assert len(recorded(live.path)) == 3
    for path in (live.policy, live.rules / "b.yml"):
        path.unlink()  # nothing of the machine is needed
    assert replayed(live.path, RecordedRules()) == recorded(live.path)
    (action,) = context(live.path, "action")
    assert "read" in action["message"]


def test_what_is_wrong_leaves_the_old_in_force_and_is_told(live: Live) -> None:
    with live.session() as session:
        session.start()
        live.write("b", rule("b", "bbb").replace("condition: s", "condition: t"))
        live.write("c", "title: [")
        reply = live.ask("reload")
        assert not reply.ok
        assert "the rules stay as they are: " in reply.message
        assert "b.yml:" in reply.message
        assert len(reply.data["problems"]) == 2
        assert live.ask("rules").data["problems"] == reply.data["problems"]
        live.files("/work/out/aaa")
        live.wait_for(1)
        live.write("b", rule("b", "bbb"))
        live.write("c", rule("c", "ccc"))
        assert live.ask("reload").ok
        assert live.ask("rules").data["problems"] == []
    assert live.broken() == ["a"]
    assert [record["message"].split()[0] for record in context(live.path, "action")] == ["the", "read"]


def test_correlations_that_are_as_they_were_remember(live: Live) -> None:
    live.write("three", rule("part", "ppp", THREE))
    live.write(
        "other", rule("other_part", "qqq", THREE.replace("three", "four").replace("part", "other_part"))
    )
    with live.session() as session:
        session.start()
        live.files("/work/out/ppp1", "/work/out/ppp2", "/work/out/qqq1", "/work/out/qqq2", "/work/out/aaa")
        live.wait_for(1)
        live.write("b", rule("b", "bbb"))
        live.write("other", (live.rules / "other.yml").read_text().replace("qqq", "qq"))
        assert live.ask("reload").ok
        live.files("/work/out/ppp3", "/work/out/qqq3", "/work/out/aaa")
        live.wait_for(3)
    assert live.broken() == ["a", "three", "a"], "the one that says something else begins anew"
    assert replayed(live.path, RecordedRules()) == recorded(live.path)


def test_a_rule_is_turned_off_and_on(live: Live) -> None:
    live.write("three", rule("part", "ppp", THREE))
    live.write("b", rule("b", "bbb"))
    with live.session() as session:
        session.start()
        for rule_id in ("a", "three", "files.write"):
            assert live.ask("rule", id=rule_id, enabled=False).ok
        parts = (f"/work/out/ppp{number}" for number in range(4))
        live.files("/work/out/aaa", "/elsewhere", *parts, "/work/out/bbb")
        live.wait_for(1)
        assert live.ask("reload").ok, "what is off stays off"
        live.files("/work/out/aaa", "/work/out/bbb")
        live.wait_for(2)
        assert live.ask("rule", id="a", enabled=True).ok
        assert "already" in live.ask("rule", id="a", enabled=True).message
        assert not live.ask("rule", id="nothing", enabled=True).ok
        live.files("/work/out/aaa", "/elsewhere")
        live.wait_for(3)
    assert live.broken() == ["b", "b", "a"]
    assert replayed(live.path, RecordedRules()) == recorded(live.path)


def test_rules_are_listed_with_what_they_found_and_cost(live: Live) -> None:
    live.write("three", rule("part", "ppp", THREE))
    with live.session() as session:
        session.start()
        paths = ["/work/out/aaa", "/elsewhere", *(f"/work/out/ppp{number}" for number in range(70))]
        live.files(*paths)
        live.wait_for(25)
        lines = {line["id"]: line for line in live.ask("rules").data["rules"]}
    assert [lines[name]["hits"] for name in ("a", "files.write", "part", "three")] == [1, 1, 70, 23]
    assert lines["part"]["spent_ns"] > 0
    assert lines["a"]["file"].endswith("a.yml")
    assert lines["a"]["enabled"] is True
    assert len(lines) > 100, "the pack, too"


def test_the_policy_stays_where_the_kernel_has_it_as_well(tmp_path: Path) -> None:
    live = Live(tmp_path, enforce=True)
    with live.session() as session:
        session.start()
        live.policy.write_text(POLICY.replace("/work/out", "/work/else"))
        assert "--enforce" in live.ask("reload").message
        assert "--enforce" in live.ask("rule", id="files.write", enabled=False).message
        live.policy.write_text(POLICY)
        live.write("b", rule("b", "bbb"))
        assert live.ask("reload").ok


def test_new_rules_have_what_they_ask_for(live: Live) -> None:
    with live.session() as session:
        session.start()
        live.write("read", sigma_rule("  s: {file.name: my_secret}\n  condition: s", "file_access"))
        live.policy.write_text(POLICY + "network:\n  connect:\n    - localhost\n")
        assert live.ask("reload").ok
        assert "my_secret" in live.source.reads
        live.policy.write_text(POLICY + "network:\n  connect:\n    - new.invalid\n")
        assert live.ask("reload").ok
        assert session._resolver._domains == ["new.invalid"]


def test_who_is_watched_may_not_change_what_it_is_judged_by(live: Live) -> None:
    with live.session() as session:
        session.start()
        device = live.policy.stat().st_dev
        paths = (live.policy, live.rules / "a.yml", live.rules / "new.yml")
        live.feed(*(opened(200, str(path), 10, device=device) for path in paths))
        live.wait_for(5)
    attacks = [each for each in live.told.violations if each.rule.name == "Attack on Rubicon: its rules"]
    assert [each.matched[0].value for each in attacks] == [str(live.policy), str(live.rules / "a.yml")]


def test_replay_by_what_was_recorded(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    with live.session() as session:
        session.start()
        live.files("/work/out/aaa", "/elsewhere")
        live.wait_for(2)
    assert main(["replay", str(live.path), "--recorded"]) == 0
    out = capsys.readouterr()
    assert " a: " in out.out
    assert "File change not allowed" in out.out
    assert "2 violations" in out.err
    assert "pack" not in out.err
    assert main(["replay", str(live.path), "--recorded", "--policy", "offline"]) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("texts"),
        lambda record: record.update(texts=[["a", "title: ["]]),
        lambda record: record.update(texts="x"),
        lambda record: record.update(policy={"nonsense": 1}),
        lambda record: record.update(policy=[1]),
        lambda record: record.update(off="x"),
    ],
)
def test_a_forged_record_of_rules_is_counted(live: Live, change: Callable[[dict[str, Any]], object]) -> None:
    record = rules_record(live.load())
    change(record)
    first = [*FIRST, record]
    with Session(live.source, live.path, live.load(), first, live.told.callbacks) as session:
        session.start()
        live.feed(execve(201, "/bin/x"))
    judging = RecordedRules()
    with open_trace(live.path, judging.judge, judging.learn) as trace:
        assert [found for _event, found in trace.items()] == [(), ()]
        assert trace.bad_records == 1


def test_what_is_said_once_more_changes_nothing(live: Live) -> None:
    live.write("three", rule("part", "ppp", THREE))
    record, judging = rules_record(live.load()), RecordedRules()
    judging.learn({**record, "serial": 1})
    before = judging._rules
    judging.learn({**record, "serial": 2})
    assert judging._rules is before


def test_a_later_file_begins_with_the_rules_in_force_alone() -> None:
    outbox = Outbox()
    outbox.keep([{"type": "user", "id": 1}, {"type": "rules", "serial": 0}])
    outbox.add({"type": "rules", "serial": 1})
    assert outbox.lasting() == [{"type": "user", "id": 1}, {"type": "rules", "serial": 1}]


def test_rules_too_large_to_keep_say_so(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(600):
        (many / f"{number}.yml").write_text(rule(f"r{number}", "x") + f"# {'x' * 1000}\n")
    load = partial(load_rules, None, [many], packs=False)
    assert load().texts is None
    record = rules_record(load())
    with pytest.raises(Exception, match="too large to be kept"):
        read_rules(record)


def test_another_pack_is_told_of(live: Live) -> None:
    judging = RecordedRules()
    judging.learn(rules_record(live.load()))
    assert not judging.other_pack
    judging.learn({**rules_record(live.load()), "pack": "0" * 64})
    assert judging.other_pack
