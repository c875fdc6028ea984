"""What two rule sets differ in, in words, and a rule set as a record that another can be made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracer.errors import RuleFileError, TraceError
from tracer.events import Event, Violation
from tracer.rules.engine import RuleSet
from tracer.rules.inheritance import Effective
from tracer.rules.load import load_texts
from tracer.rules.policy import policy_of, problems_of
from tracer.rules.variables import Given, Variables
from tracer.rules.yamlfile import Document

RECORD = "rules"


def difference(before: RuleSet, after: RuleSet) -> str:
    """As "2 rules more, 1 changed; the policy is another"; what is off does not count."""
    old, new = _definitions(before), _definitions(after)
    counts = (
        (len(new.keys() - old.keys()), "more"),
        (len(old.keys() - new.keys()), "fewer"),
        (sum(old[key] != new[key] for key in old.keys() & new.keys()), "changed"),
    )
    words = ", ".join(f"{count} {word}" for count, word in counts if count)
    parts = [f"rules: {words}"] if words else []
    if not same_policy(before, after):
        parts.append("the policy is another")
    return "; ".join(parts) or "nothing has changed"


def same_policy(before: RuleSet, after: RuleSet) -> bool:
    return _keys(before) == _keys(after)


def _keys(rules: RuleSet) -> Mapping[str, Any]:
    return rules.effective.keys if rules.effective else {}


def _definitions(rules: RuleSet) -> dict[str, Any]:
    found: dict[str, Any] = {each.rule.id: each.definition for each in rules.wiring.detections}
    return found | {each.correlation.rule.id: each.definition for each in rules.wiring.correlators}


def rules_record(rules: RuleSet) -> dict[str, Any]:
    """The context record by which a replay judges as this does: the policy in force, the rule files, what is
    off. The pack is not in it, for it comes with Rubicon: its digest tells whether it is the same."""
    effective = rules.effective
    return {
        "type": RECORD,
        "digest": rules.digest,
        "pack": _pack_of(rules),
        "policy": dict(effective.keys) if effective else None,
        "used": dict(effective.used) if effective else {},
        "variables": rules.given.record(),
        "texts": None if rules.texts is None else [list(each) for each in rules.texts],
        "off": sorted(rules.off),
    }


def read_rules(record: Mapping[str, Any]) -> RuleSet:
    """Raises TraceError when it is not what `rules_record` wrote, RuleFileError when they are no rules."""
    given = Given.recorded(record.get("variables"))
    texts, off, keys = record.get("texts"), record.get("off"), record.get("policy")
    if texts is None:
        raise TraceError("the rule files were too large to be kept in the trace: give them with --rules")
    if not _is_pairs(texts) or not isinstance(off, list) or not isinstance(keys, dict | None):
        raise TraceError("a record of rules that is none")
    policy = None
    if keys is not None:
        document = Document(Path("policy"), keys, {})
        if problems := problems_of(document):
            raise RuleFileError(problems)
        policy = Effective(policy_of(keys, document), keys, _used(record.get("used")))
    rules = load_texts(policy, [(str(name), str(text)) for name, text in texts], given)
    return rules.turned(frozenset(map(str, off))) if off else rules


class RecordedRules:
    """Judges by the rules of a trace, as they change in it. `other_pack`: the pack here is another by now."""

    def __init__(self) -> None:
        self.other_pack = False
        self._rules: RuleSet | None = None
        self._said: Mapping[str, Any] = {}

    @property
    def known(self) -> bool:
        return self._rules is not None

    def judge(self, event: Event) -> tuple[Violation, ...]:
        return self._rules.judge(event) if self._rules else ()

    def learn(self, record: Mapping[str, Any]) -> None:
        """A trace that goes on in another file says once more what holds.

        Raises TraceError, RuleFileError.
        """
        said = {key: value for key, value in record.items() if key not in ("serial", "time_ns")}
        if said == self._said:
            return
        rules = read_rules(record)
        self._said = said
        self.other_pack = self.other_pack or record.get("pack") != _pack_of(rules)
        rules.take_over(self._rules or rules)
        self._rules = rules


def _pack_of(rules: RuleSet) -> str:
    """SHA-256 over the files of the pack, hexadecimal."""
    digest = hashlib.sha256()
    for source in rules.sources:
        if source["path"].startswith("pack:"):
            digest.update(f"{source['path']} {source['sha256']}\n".encode())
    return digest.hexdigest()


def _is_pairs(texts: object) -> bool:
    return isinstance(texts, list) and all(isinstance(each, list) and len(each) == 2 for each in texts)


def _used(record: object) -> Variables:
    found = record if isinstance(record, dict) else {}
    return {str(name): tuple(map(str, values)) for name, values in found.items() if isinstance(values, list)}
