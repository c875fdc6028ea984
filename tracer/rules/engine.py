"""The rules at work: an event in, its violations out.

An event meets the policy first and then the detections of its log source, in the order they were loaded; it
never meets a rule that speaks of something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypedDict

from tracer.events import Action, Event, Rule, Violation
from tracer.rules.detection import Detection, Skipped
from tracer.rules.fields import LOG_SOURCES, Facts, LogSource
from tracer.rules.policing import PolicyCheck, policy_checks, policy_rules
from tracer.rules.policy import Policy


class Source(TypedDict):
    """A file that rules came from: as the user named it, or "pack:NAME"; and the SHA-256 of its bytes."""

    path: str
    sha256: str


class _Plan:
    """What to ask of the events of one action: at most one of the log sources takes an event in."""

    __slots__ = ("check", "sources")

    def __init__(self, check: PolicyCheck | None, sources: Mapping[LogSource, Sequence[Detection]]) -> None:
        self.check = check
        self.sources = tuple(
            (source.applies, tuple((detection.test, detection) for detection in detections))
            for source, detections in sources.items()
        )

    def judge(self, event: Event) -> tuple[Violation, ...]:
        found: list[Violation] | None = None
        if self.check is not None and (violation := self.check(event)) is not None:
            found = [violation]
        for applies, detections in self.sources:
            if not applies(event):
                continue
            facts = Facts(event)
            for test, detection in detections:
                if test(facts):
                    if found is None:
                        found = []
                    found.append(detection.violation(event, facts))
        return tuple(found) if found else ()


class RuleSet:
    """All rules of a session, compiled.

    rules       what can be violated, in the order it is judged
    skipped     detections that do not apply, with the reason
    sources     the files they came from
    digest      SHA-256 over the files' contents in order, hexadecimal: same digest, same verdicts
    policy      as it was read, None without one
    domains     exact domain names the policy allows connections to; someone has to resolve them
    """

    def __init__(
        self,
        policy: Policy | None,
        detections: Sequence[Detection],
        skipped: Sequence[Skipped] = (),
        sources: Sequence[Source] = (),
    ) -> None:
        self.policy = policy
        self.skipped = tuple(skipped)
        self.sources = list(sources)
        self.domains = policy.domains if policy else frozenset()
        of_policy = tuple(policy_rules(policy).values()) if policy else ()
        self.rules: tuple[Rule, ...] = of_policy + tuple(detection.rule for detection in detections)
        self.digest = _digest(policy is not None, sources)
        self._plans = _plans(policy_checks(policy) if policy else {}, detections)

    def judge(self, event: Event) -> tuple[Violation, ...]:
        """The violations of one event, most often none; what was there at the attach is judged as well."""
        plan = self._plans.get(event.action)
        return plan.judge(event) if plan is not None else ()


def _digest(has_policy: bool, sources: Sequence[Source]) -> str:
    digest = hashlib.sha256(b"policy" if has_policy else b"")
    for source in sources:
        digest.update(bytes.fromhex(source["sha256"]))
    return digest.hexdigest()


def _plans(checks: dict[Action, PolicyCheck], detections: Sequence[Detection]) -> dict[Action, _Plan]:
    asked: dict[Action, dict[LogSource, Sequence[Detection]]] = {action: {} for action in checks}
    for source in LOG_SOURCES.values():
        fitting = [detection for detection in detections if detection.source is source]
        for action in source.actions if fitting else ():
            asked.setdefault(action, {})[source] = fitting
    return {action: _Plan(checks.get(action), sources) for action, sources in asked.items()}
