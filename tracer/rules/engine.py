"""The rules at work: an event in, its violations out.

An event meets the policy first and then the detections of its log source, in the order they were loaded; it
never meets a rule that speaks of something else.
"""

from __future__ import annotations

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


@dataclass(slots=True)
class Meter:
    """What a rule cost: how often it was asked, how often it said yes, and how long that took in all."""

    rule: Rule
    asked: int = 0
    hits: int = 0
    spent_ns: int = 0

    def around(self, test: Test) -> Test:
        def measured(facts: Facts) -> bool:
            begin = time.perf_counter_ns()
            hit = test(facts)
            self.spent_ns += time.perf_counter_ns() - begin
            self.asked += 1
            self.hits += hit
            return hit

        return measured


@dataclass(slots=True)
class _Asked:
    """The detections of a log source: of each its test, whether it speaks for itself, and the correlations
    it is a part of."""

    applies: Callable[[Event], bool]
    search: Search
    rules: Sequence[tuple[Test, Detection, bool, Sequence[Feed]]]

    @classmethod
    def make(
        cls,
        source: LogSource,
        detections: Sequence[Detection],
        wiring: Wiring,
        meters: Mapping[Detection, Meter] | None,
    ) -> _Asked:
        rules = [
            (
                meters[each].around(each.test) if meters else each.test,
                each,
                each not in wiring.silent,
                wiring.feeds.get(each, ()),
            )
            for each in detections
        ]
        return cls(source.applies, Search([each.node.anchors for each in detections]), rules)

    def judge(self, facts: Facts, found: list[Violation], failed: list[Detection]) -> None:
        """A rule that fails is among `failed` then, and the others are asked all the same."""
        event = facts.event
        for number in self.search.candidates(facts):
            test, detection, speaks, feeds = self.rules[number]
            try:
                if not test(facts):
                    continue
                if speaks:
                    found.append(detection.violation(event, facts))
                for feed in feeds:
                    found += feed.take(event, facts)
            except Exception:  # noqa: BLE001  told when all were asked
                failed.append(detection)


class _Plan:
    """What to ask of the events of one action: the policy, then detections, source by source."""

    __slots__ = ("_asked", "_check")

    def __init__(self, check: PolicyCheck | None, asked: Sequence[_Asked]) -> None:
        self._check = check
        self._asked = tuple(asked)

    def judge(self, event: Event) -> tuple[Violation, ...]:
        found: list[Violation] = []
        failed: list[Detection] = []
        if self._check is not None and (violation := self._check(event)) is not None:
            found.append(violation)
        facts = Facts(event)
        for asked in self._asked:
            if asked.applies(event):
                asked.judge(facts, found, failed)
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
    """

    def __init__(
        self,
        effective: Effective | None,
        wiring: Wiring,
        skipped: Sequence[Skipped],
        sources: Sequence[Source],
        given: Given,
    ) -> None:
        self.policy = policy = effective.policy if effective else None
        self.given = given
        self.skipped = tuple(skipped)
        self.sources = list(sources)
        self.domains = policy.domains if policy else frozenset()
        self._correlators = wiring.correlators
        of_policy = tuple(policy_rules(policy).values()) if policy else ()
        self.rules: tuple[Rule, ...] = (
            *of_policy,
            *(detection.rule for detection in wiring.detections if detection not in wiring.silent),
            *(each.correlation.rule for each in wiring.correlators if not each.silent),
        )
        self.digest = _digest(effective, sources, given)
        self._checks = policy_checks(policy) if policy else {}
        self._wiring = wiring
        self.reads: dict[str, int] = {}
        for detection in wiring.detections:
            for name, what in detection.reads.items():
                self.reads[name] = self.reads.get(name, 0) | what
        self._plans = _plans(self._checks, wiring)
        self.entries = tuple(_entries(of_policy, wiring))

    def measure(self) -> Mapping[Detection, Meter]:
        """Measure the detections from now on, which makes each a little slower."""
        meters = {detection: Meter(detection.rule) for detection in self._wiring.detections}
        self._plans = _plans(self._checks, self._wiring, meters)
        return meters

    @property
    def forgotten(self) -> int:
        """Windows of correlations that there was no room for: more groups at once than are remembered."""
        return sum(each.forgotten for each in self._correlators)

    def judge(self, event: Event) -> tuple[Violation, ...]:
        """The violations of one event, most often none; what was there at the attach is judged as well.

        Raises RulesFailedError, with what the others found, when a rule failed.
        """
        plan = self._plans.get(event.action)
        return plan.judge(event) if plan is not None else ()


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
    checks: Mapping[Action, PolicyCheck], wiring: Wiring, meters: Mapping[Detection, Meter] | None = None
) -> dict[Action, _Plan]:
    asked: dict[Action, list[_Asked]] = {action: [] for action in checks}
    for source in dict.fromkeys(detection.source for detection in wiring.detections):
        fitting = [detection for detection in wiring.detections if detection.source is source]
        made = _Asked.make(source, fitting, wiring, meters)
        for action in source.actions:
            asked.setdefault(action, []).append(made)
    return {action: _Plan(checks.get(action), several) for action, several in asked.items()}
