"""The rules at work: an event in, its violations out.

An event meets the policy first and then the detections of its log source, in the order they were loaded; it
never meets a rule that speaks of something else.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tracer.events import Action, Event, Rule, RulesFailedError, Violation
from tracer.rules.correlation import Feed
from tracer.rules.detection import Detection
from tracer.rules.fields import Facts, LogSource
from tracer.rules.header import Skipped
from tracer.rules.inheritance import Effective
from tracer.rules.nodes import Test
from tracer.rules.policing import PolicyCheck, policy_checks, policy_rules
from tracer.rules.search import Search
from tracer.rules.variables import Given
from tracer.rules.wiring import Wiring

Ids = frozenset[str]
Texts = Sequence[tuple[str, str]]


class Source(TypedDict):
    """A file that rules came from: as the user named it, or "pack:NAME"; and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule as it is listed: `source` is what it judges, `part` that it only speaks through correlations."""

    rule: Rule
    source: str
    file: Path | None = None
    line: int = 0
    part: bool = False


TIMED_EVERY = 32  # events of which one is timed: the clock takes as long as many a rule


@dataclass(slots=True)
class Meter:
    """What a rule cost: `hits` are all of them; how often it was `asked`, and how long that took in all, are
    of the events that are timed."""

    rule: Rule
    hits: int = 0
    asked: int = 0
    spent_ns: int = 0

    def timed(self, test: Test, facts: Facts) -> bool:
        begin = time.perf_counter_ns()
        hit = test(facts)
        self.spent_ns += time.perf_counter_ns() - begin
        self.asked += 1
        return hit


Meters = dict[str, Meter]
"""Of all rules, by their ids."""


@dataclass(slots=True)
class _Asked:
    """The detections of a log source: of each its test, whether it speaks for itself, the correlations that
    it is a part of, and its meter."""

    applies: Callable[[Event], bool]
    search: Search
    rules: Sequence[tuple[Test, Detection, bool, Sequence[Feed], Meter]]
    meters: Meters

    @classmethod
    def make(
        cls, source: LogSource, detections: Sequence[Detection], wiring: Wiring, meters: Meters, off: Ids
    ) -> _Asked:
        speaking = {each for each in detections if each not in wiring.silent and each.rule.id not in off}
        asked = [each for each in detections if each in speaking or each in wiring.feeds]
        rules = [
            (each.test, each, each in speaking, wiring.feeds.get(each, ()), meters[each.rule.id])
            for each in asked
        ]
        return cls(source.applies, Search([each.node.anchors for each in asked]), rules, meters)

    def judge(self, facts: Facts, found: list[Violation], failed: list[Detection], *, timed: bool) -> None:
        """A rule that fails is among `failed` then, and the others are asked all the same."""
        event = facts.event
        for number in self.search.candidates(facts):
            test, detection, speaks, feeds, meter = self.rules[number]
            try:
                if not (meter.timed(test, facts) if timed else test(facts)):
                    continue
                meter.hits += 1
                if speaks:
                    found.append(detection.violation(event, facts))
                for feed in feeds:
                    self._feed(feed, facts, found)
            except Exception:  # noqa: BLE001  told when all were asked
                failed.append(detection)

    def _feed(self, feed: Feed, facts: Facts, found: list[Violation]) -> None:
        for violation in feed.take(facts.event, facts):
            self.meters[violation.rule.id].hits += 1
            found.append(violation)


class _Plan:
    """What to ask of the events of one action: the policy, then detections, source by source."""

    __slots__ = ("_asked", "_check", "_meters")

    def __init__(self, check: PolicyCheck | None, asked: Sequence[_Asked], meters: Meters) -> None:
        self._check = check
        self._asked = tuple(asked)
        self._meters = meters

    def judge(self, event: Event, *, timed: bool) -> tuple[Violation, ...]:
        found: list[Violation] = []
        failed: list[Detection] = []
        if self._check is not None and (violation := self._check(event)) is not None:
            self._meters[violation.rule.id].hits += 1
            found.append(violation)
        facts = Facts(event)
        for asked in self._asked:
            if asked.applies(event):
                asked.judge(facts, found, failed, timed=timed)
        if failed:
            raise RulesFailedError([each.rule for each in failed], found)
        return tuple(found)


class RuleSet:
    """All rules of a session, compiled. Correlations remember what they saw: it is for one stream of events.

    rules       what can be violated, in the order it is judged
    entries     all rules, for lists: those that are parts of correlations, too
    skipped     detections that do not apply, with the reason
    sources     the files they came from
    digest      SHA-256 over the files' contents in order and the variables that were put in,
                hexadecimal: same digest, same verdicts
    policy      what is in force of it, None without one
    given       the variables it was read with
    reads       names of files (1) and folders (2) whose opens for reading it has to be told of
    domains     exact domain names the policy allows connections to; someone has to resolve them
    meters      what each rule found and cost, by its id; one of `timed_every` events is timed
    off         the ids of rules that say nothing
    texts       the rule files, but for the pack: name and text; None when they are too many to keep
    """

    def __init__(
        self,
        effective: Effective | None,
        wiring: Wiring,
        skipped: Sequence[Skipped],
        sources: Sequence[Source],
        given: Given,
        *,
        texts: Texts | None = (),
    ) -> None:
        self.texts = texts
        self.effective = effective
        self.policy = policy = effective.policy if effective else None
        self.given = given
        self.skipped = tuple(skipped)
        self.sources = list(sources)
        self.domains = policy.domains if policy else frozenset()
        of_policy = tuple(policy_rules(policy).values()) if policy else ()
        self.rules: tuple[Rule, ...] = (
            *of_policy,
            *(detection.rule for detection in wiring.detections if detection not in wiring.silent),
            *(each.correlation.rule for each in wiring.correlators if not each.silent),
        )
        self.digest = _digest(effective, sources, given)
        self.wiring = wiring
        self.reads: dict[str, int] = {}
        for detection in wiring.detections:
            for name, what in detection.reads.items():
                self.reads[name] = self.reads.get(name, 0) | what
        self.entries = tuple(_entries(of_policy, wiring))
        self.meters: Meters = {entry.rule.id: Meter(entry.rule) for entry in self.entries}
        self.timed_every = TIMED_EVERY
        self.off: Ids = frozenset()
        self._checks = policy_checks(policy) if policy else {}
        self._plans = _plans(self._checks, wiring, self.meters, self.off)

    def turned(self, off: Ids) -> RuleSet:
        """The same, of which these say nothing. What both remember is one: use one of them from then on."""
        turned = copy.copy(self)
        turned.off = off
        turned._plans = _plans(self._checks, self.wiring, self.meters, off)
        return turned

    def take_over(self, before: RuleSet) -> None:
        """Go on where `before` stands: correlations that are as they were remember, and all is counted on."""
        known = {each.correlation.rule.id: each for each in before.wiring.correlators}
        for each in self.wiring.correlators:
            each.off = each.correlation.rule.id in self.off
            old = known.get(each.correlation.rule.id)
            if old is not None and old.definition == each.definition:
                each.take_over(old)
        for key, meter in self.meters.items():
            if (earlier := before.meters.get(key)) is not None and earlier is not meter:
                meter.hits += earlier.hits
                meter.asked += earlier.asked
                meter.spent_ns += earlier.spent_ns

    @property
    def forgotten(self) -> int:
        """Windows of correlations that there was no room for: more groups at once than are remembered."""
        return sum(each.forgotten for each in self.wiring.correlators)

    def judge(self, event: Event) -> tuple[Violation, ...]:
        """The violations of one event, most often none; what was there at the attach is judged as well.

        Raises RulesFailedError, with what the others found, when a rule failed.
        """
        plan = self._plans.get(event.action)
        return plan.judge(event, timed=not event.sequence % self.timed_every) if plan is not None else ()


def _digest(effective: Effective | None, sources: Sequence[Source], given: Given) -> str:
    digest = hashlib.sha256(b"policy" if effective else b"")
    for source in sources:
        digest.update(bytes.fromhex(source["sha256"]))
    variables = {**given.fixed, **(effective.used if effective else {})}
    if variables:
        digest.update(json.dumps(variables, sort_keys=True).encode())
    return digest.hexdigest()


def _entries(of_policy: Iterable[Rule], wiring: Wiring) -> Iterator[Entry]:
    for rule in of_policy:
        yield Entry(rule, "policy")
    for each in wiring.detections:
        yield Entry(each.rule, each.source.category, each.file, each.line, each in wiring.silent)
    for correlator in wiring.correlators:
        made = correlator.correlation
        yield Entry(made.rule, "correlation", made.file, made.line, correlator.silent)


def _plans(
    checks: Mapping[Action, PolicyCheck], wiring: Wiring, meters: Meters, off: Ids
) -> dict[Action, _Plan]:
    asked: dict[Action, list[_Asked]] = {action: [] for action in checks}
    for source in dict.fromkeys(detection.source for detection in wiring.detections):
        fitting = [detection for detection in wiring.detections if detection.source is source]
        made = _Asked.make(source, fitting, wiring, meters, off)
        for action in source.actions:
            asked.setdefault(action, []).append(made)
    silenced = {action: _unless_off(check, off) for action, check in checks.items()} if off else checks
    return {action: _Plan(silenced.get(action), several, meters) for action, several in asked.items()}


def _unless_off(check: PolicyCheck, off: Ids) -> PolicyCheck:
    def silenced(event: Event) -> Violation | None:
        violation = check(event)
        return None if violation is None or violation.rule.id in off else violation

    return silenced
